"""Vectors to begin training with lie as the neighbours in the histories do."""

from __future__ import annotations

import numpy as np
import torch

from shopfuse.training.sequences.warm_start import neighbour_vectors
from tests.training.sequences.histories import histories


def test_items_of_the_same_users_begin_side_by_side_and_others_apart() -> None:
    train = histories([[0, 1, 2], [2, 1, 0], [3, 4, 5], [5, 3, 4]] * 5)

    vectors = neighbour_vectors(train, 7, 4, seed=1)

    like = (vectors @ vectors.T).numpy()
    same = np.kron(np.eye(2), np.ones((3, 3))) > 0
    assert like[:6, :6][same].min() > 5 * np.abs(like[:6, :6][~same]).max()
    assert torch.isfinite(vectors).all()


def test_a_shop_smaller_than_the_width_fills_the_rest_with_zeros() -> None:
    vectors = neighbour_vectors(histories([[0, 1], [1, 2]]), 3, 8, seed=1)

    assert vectors.shape == (3, 8)
    assert vectors[:, 3:].abs().sum() == 0
    assert torch.isfinite(vectors).all()
