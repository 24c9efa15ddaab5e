"""Id embeddings to begin with lie as the neighbours in the histories of users do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from shopfuse.ranking.tensors import TOKEN
from shopfuse.recall.visits import Sessions
from shopfuse.training.trainers.id_start import id_start, spectral_vectors


def had(lists: Sequence[Sequence[int]]) -> Sessions:
    """Users who had these items, a minute between two."""
    users = np.repeat(np.arange(len(lists)), [len(items) for items in lists])
    rows = np.array([item for items in lists for item in items], np.int32)
    at = np.array([60.0 * step for items in lists for step in range(len(items))])
    return users, rows, np.ones(len(rows), np.float32), at


def test_items_of_the_same_users_begin_side_by_side_and_others_apart() -> None:
    vectors = id_start(had([[0, 1, 2], [2, 1, 0], [3, 4, 5], [5, 3, 4]] * 5), 7, seed=1)

    like = vectors @ vectors.T
    same = np.kron(np.eye(2), np.ones((3, 3))) > 0
    assert like[:6, :6][same].min() > 5 * np.abs(like[:6, :6][~same]).max()
    assert np.isfinite(vectors).all()
    assert not vectors[6].any()  # nobody had it


def test_a_shop_smaller_than_the_width_fills_the_rest_with_zeros() -> None:
    vectors = id_start(had([[0, 1], [1, 2]] * 2), 3, seed=1)

    assert vectors.shape == (3, TOKEN)
    assert not vectors[:, 3:].any()
    assert np.isfinite(vectors).all()


def test_leading_eigenvectors_are_found() -> None:
    torch.manual_seed(0)
    roots = torch.linalg.qr(torch.randn(40, 40)).Q
    values = torch.tensor([8.0, 4.0, 2.0] + [0.05] * 37)
    matrix = (roots * values) @ roots.T

    vectors = spectral_vectors(matrix.to_sparse_coo(), 3, seed=1)

    places = roots[:, :3] * values[:3].sqrt()
    places = 0.5 * places / places.norm(dim=1, keepdim=True)
    assert torch.allclose(vectors @ vectors.T, places @ places.T, atol=1e-3)
