"""The two rules above every ranker: what is named by its number leads, what contradicts a quantity stands behind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS
from shopfuse.ranking.order import LEADS, in_order

Floats = NDArray[np.float32]


def channels(**columns: list[float]) -> tuple[Floats, Floats]:
    """Scores and mask; NaN is no score."""
    count = len(next(iter(columns.values())))
    scores = np.full((count, len(CHANNELS)), np.nan, np.float32)
    for name, values in columns.items():
        scores[:, CHANNEL_COLUMN[name]] = values
    mask = ~np.isnan(scores)
    return np.nan_to_num(scores), mask.astype(np.float32)


def order(relevance: list[float], **columns: list[float]) -> list[int]:
    scores = in_order(np.array(relevance, np.float32), *channels(**columns))
    return [int(place) for place in np.argsort(-scores, kind="stable")]


NAN = float("nan")


@pytest.mark.parametrize("scale", [1e-6, 1.0, 50.0])
def test_an_item_that_is_named_leads_whatever_the_ranker_thinks(scale: float) -> None:
    relevance = [scale * value for value in (0.9, 0.5, 0.1, 0.7)]

    assert order(relevance, identifier=[0, 0, 1, 0]) == [2, 0, 3, 1]
    assert order(relevance, identifier=[0, LEADS, 1, 0]) == [2, 1, 0, 3]
    assert order(relevance, identifier=[0, 1, 1, 0]) == [1, 2, 0, 3]
    assert order(relevance, identifier=[0, 0, LEADS / 2, 0]) == [0, 3, 1, 2]


def test_what_contradicts_stands_behind_what_agrees_and_keeps_its_order() -> None:
    assert order([0.9, 0.8, 0.4, 0.3], quantity=[0, 0, 1, NAN], coverage=[0.5, 0.5, 1.0, 0.2]) == [2, 0, 1, 3]


def test_what_contradicts_is_put_no_deeper_than_agreeing_items_that_hold_as_much() -> None:
    drill_12v, battery_18v, drill_18v = 0, 1, 2

    for rest in (0.6, 0.45):  # whether "drill" or "18v" is the rarer word
        coverage = [rest, 1.0 - rest, 1.0]
        assert order([0.9, 0.1, 0.8], quantity=[0, 1, 1], coverage=coverage) == [drill_18v, drill_12v, battery_18v]


def test_without_anything_that_agrees_nothing_moves() -> None:
    assert order([0.9, 0.8], quantity=[0, NAN], coverage=[0.5, 0.5]) == [0, 1]
    assert order([0.9, 0.8], coverage=[0.5, 0.5]) == [0, 1]
    assert in_order(np.zeros(0, np.float32), *(np.zeros((0, len(CHANNELS)), np.float32),) * 2).shape == (0,)
