"""A planted position bias: the shop put its worst items first, and shoppers looked mostly at the first slots."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.training.examples.ranker_data import RankerData
from shopfuse.training.trainers.ranker import RankerTraining, train_ranker
from shopfuse.training.trainers.ranker_choice import list_probabilities
from shopfuse.training.trainers.stacking import train_stacking
from shopfuse.training.trainers.tower_losses import TowerHeads
from tests.training.planted_lists import Floats, planted, planted_items, quality_of


def _worst_first(rng: np.random.Generator, quality: Floats) -> NDArray[np.int64]:
    """By falling quality and much chance: without any chance nothing could tell quality from position."""
    return np.argsort(quality + 0.3 * rng.standard_normal(quality.shape), axis=1)


def _looked_at(rng: np.random.Generator, quality: Floats, position: NDArray[np.int16]) -> NDArray[np.int8]:
    """A click is a look, which falls with the slot, and a liking, which grows with quality."""
    look = 1.0 / (1.0 + np.maximum(position, 0)) ** 1.5
    return (rng.random(quality.shape) < look * (0.3 + 0.5 * quality)).astype(np.int8)


@pytest.fixture(scope="module")
def biased() -> RankerData:
    return planted(_looked_at, lists=1500, order=_worst_first)


def _served(probabilities: NDArray[np.float32], data: RankerData) -> float:
    """The correlation of the served click probabilities with quality."""
    return float(np.corrcoef(probabilities[..., 0].ravel(), quality_of(data.lists.rows).ravel())[0, 1])


def test_clicks_as_logged_would_teach_the_wrong_order(biased: RankerData) -> None:
    listed = biased.lists.position >= 0
    quality, clicked = quality_of(biased.lists.rows)[listed], biased.lists.outcome[listed] > 0

    assert clicked[quality > 0.75].mean() < clicked[quality < 0.25].mean() - 0.05


def test_stacking_serves_the_right_order_and_finds_the_term(biased: RankerData) -> None:
    ranker, positions, _ = train_stacking(biased, planted_items(), seed=0)

    assert (
        _served(list_probabilities(ranker, biased, planted_items(), np.arange(200)), biased.take(np.arange(200))) > 0.5
    )
    term = positions.table.detach()[0] - positions.table.detach()[0, 0]
    assert term[0] == 0 and bool((term[:5].diff() < 0).all())
    assert float(term[4]) == pytest.approx(-1.5 * np.log(5.0), abs=0.8)  # log odds of a look at slot 4, nearly


def test_attention_serves_the_right_order(biased: RankerData) -> None:
    settings = RankerTraining(epochs=4, batch=32)

    ranker, _, _ = train_ranker("attention", biased, planted_items(), TowerHeads(), seed=0, settings=settings)

    chosen = np.arange(200)
    assert _served(list_probabilities(ranker, biased, planted_items(), chosen), biased.take(chosen)) > 0.4
