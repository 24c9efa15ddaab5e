"""Calibration: a ranker whose logits are wrong by a scale and a shift is put right, one that is right is left alone."""

import numpy as np
import pytest
import torch

from shopfuse.training.examples.ranker_data import RankerData
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.trainers.position_term import PositionTerm
from shopfuse.training.trainers.ranker_calibration import calibrate, seen_logits
from shopfuse.training.trainers.stacking import train_stacking
from tests.training.planted_lists import planted_items, popular_items_are_clicked


@pytest.fixture(scope="module")
def learned() -> tuple[FusionRanker, PositionTerm, RankerData]:
    data = popular_items_are_clicked(600)
    ranker, positions, _ = train_stacking(data, planted_items(), seed=0)
    return ranker, positions, data


def _mean_probability(ranker: FusionRanker, positions: PositionTerm, data: RankerData) -> tuple[float, float]:
    """(predicted, observed) share of clicks among what was shown."""
    logits, labels = seen_logits(ranker, positions, data, planted_items(), np.arange(len(data)))
    return float(torch.sigmoid(logits[..., 0])[labels.impression].mean()), float(
        labels.clicked[labels.impression].mean()
    )


def test_a_shifted_ranker_is_put_right(learned: tuple[FusionRanker, PositionTerm, RankerData]) -> None:
    ranker, positions, data = learned
    shifted = FusionRanker("stacking").eval()
    shifted.load_state_dict(ranker.state_dict())
    with torch.no_grad():
        shifted.fusion.bias += 1.5  # type: ignore[operator, assignment]
    before, observed = _mean_probability(shifted, positions, data)

    record = calibrate(shifted, positions, data, planted_items(), np.arange(len(data)))

    after, _ = _mean_probability(shifted, positions, data)
    assert abs(before - observed) > 0.1
    assert abs(after - observed) < 0.02
    assert record["log_loss_calibrated"] < record["log_loss"]


def test_the_order_by_a_task_stays(learned: tuple[FusionRanker, PositionTerm, RankerData]) -> None:
    ranker, positions, data = learned
    raw, _ = seen_logits(ranker, positions, data, planted_items(), np.arange(20))

    calibrate(ranker, positions, data, planted_items(), np.arange(len(data)))

    scaled, _ = seen_logits(ranker, positions, data, planted_items(), np.arange(20))
    assert torch.equal(raw[..., 0].argsort(dim=1), scaled[..., 0].argsort(dim=1))
