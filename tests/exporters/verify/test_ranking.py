"""What a ranking loses by another model's scores: nothing where the reference finds items equal, else by worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse_exporters.errors import ParityError
from shopfuse_exporters.verify.ranking import compare_rankings
from shopfuse_exporters.verify.tolerances import RankingBound


def scores(*rows: Sequence[float]) -> NDArray[np.float64]:
    return np.array(rows, np.float64)


def test_a_swap_of_equals_costs_nothing_and_a_lost_item_does() -> None:
    reference = scores([*np.linspace(1.0, 0.5, 9), 0.4, 0.4, 0.0])
    swapped, lost = reference.copy(), reference.copy()
    swapped[0, [9, 10]] = 0.3, 0.5
    lost[0, [0, 11]] = 0.0, 1.0

    same = compare_rankings("m", ["q"], reference, swapped)
    assert same.overlap == 1.0
    assert same.ndcg_loss == pytest.approx(0.0)
    worse = compare_rankings("m", ["q"], reference, lost)
    assert worse.overlap == 0.9
    # the best item is gone, and nothing of worth stands in its place: gains of 1, 0.9375, ... at ranks 1 to 10
    gains = [*np.linspace(1.0, 0.5, 9), 0.4]
    discounts = 1.0 / np.log2(np.arange(10) + 2.0)
    assert worse.ndcg_loss == pytest.approx(1.0 - (([0.0, *gains[1:]]) @ discounts) / (gains @ discounts))


def test_rankings_are_measured_for_each_query_and_the_worst_is_named() -> None:
    reference = scores(range(20), range(20), range(20))
    actual = scores(range(20), range(0, -20, -1), range(20))

    report = compare_rankings("m", ["one", "two", "three"], reference, actual)
    assert report.overlap == pytest.approx(2 / 3)
    assert report.overlap_min == 0.0
    assert report.worst_query == "two"
    assert "top-10 overlap 0.667 (at least 0.9)" in report.excess(RankingBound(0.9, 1.0))
    assert "NDCG@10 loss" in report.excess(RankingBound(0.5, 0.01))
    assert report.excess(RankingBound(0.5, 0.5)) == ""


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ParityError, match="m: a score of the golden queries is NaN or infinite"):
        compare_rankings("m", ["q"], scores([1.0, 2.0]), scores([1.0, np.nan]))
