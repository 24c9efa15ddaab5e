"""The sequence model: what it may look at, what padding may not change, and items that nobody has had yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shopfuse.training.sequences.fit import SequenceTraining, new_model, next_item_loss, train_model
from shopfuse.training.sequences.model import ModelSettings, SequenceModel
from shopfuse.training.sequences.scoring import model_scores
from tests.training.sequences.histories import histories, walking_shop

SMALL = ModelSettings(width=16, dropout=0.2)
SHOP = walking_shop()
QUICK = SequenceTraining(epochs=25, least_steps=0, learning_rate=1e-2)


def model_of(settings: ModelSettings) -> SequenceModel:
    return new_model(SHOP, settings, seed=1).eval()


def test_a_place_sees_only_what_came_before_it() -> None:
    model = model_of(SMALL)
    vectors = model.items()
    one, other = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[1, 2, 30, 31]])

    before, after = model(vectors, one), model(vectors, other)

    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert not torch.allclose(before[:, 2], after[:, 2], atol=1e-3)


def test_padding_and_neighbours_in_a_batch_change_nothing() -> None:
    model = model_of(SMALL)

    alone = model_scores(model, histories([[1, 2, 3]]))
    beside = model_scores(model, histories([[1, 2, 3], [9, 8, 7, 6, 5, 4]]))

    assert np.allclose(alone[0], beside[0], atol=1e-5)


def test_padding_and_an_item_without_training_events_have_no_vector() -> None:
    counts = SHOP.train_counts.copy()
    counts[7] = 0

    vectors = new_model(replace(SHOP, train_counts=counts), SMALL, seed=1).items()

    assert np.flatnonzero(vectors.detach().abs().sum(1) == 0).tolist() == [7, SHOP.item_count]


def test_loss_is_the_mean_over_real_places_only() -> None:
    model, padding = model_of(SMALL), SHOP.item_count
    short, long = torch.tensor([[1, 2, padding]]), torch.tensor([[3, 4, 5]])

    one, two, both = (next_item_loss(model, batch).item() for batch in (short, long, torch.cat([short, long])))

    assert both == pytest.approx((one + 2 * two) / 3, abs=1e-5)


def test_training_learns_which_item_follows() -> None:
    trained = train_model(SHOP, SMALL, QUICK, seed=1, stage="train")

    scores = model_scores(trained.model, histories([[item] for item in range(20)]))
    assert (scores.argmax(1) == np.arange(1, 21)).mean() > 0.4
    assert trained.validation_ndcg > 0.3


def test_the_same_seed_trains_the_same_model() -> None:
    quick = replace(QUICK, epochs=1)

    weights = [train_model(SHOP, SMALL, quick, seed=3, stage="train").model.state_dict() for _ in range(2)]

    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
