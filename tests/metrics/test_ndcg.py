"""Measures of one ranking against hand-computed values."""

from __future__ import annotations

import math

import pytest

from shopfuse.metrics.ndcg import condensed_ndcg, ndcg, recall, reciprocal_rank, unjudged_share

GRADES = {"a": 3.0, "b": 1.0, "c": 0.0}


def test_ndcg_of_the_ideal_order_is_one() -> None:
    assert ndcg(["a", "b", "c"], GRADES) == pytest.approx(1.0)


def test_ndcg_discounts_by_log2_of_rank_plus_one() -> None:
    ideal = 7 / math.log2(2) + 1 / math.log2(3)

    assert ndcg(["b", "x", "a"], GRADES) == pytest.approx((1 / math.log2(2) + 7 / math.log2(4)) / ideal)


def test_ndcg_counts_judged_items_that_were_not_found() -> None:
    assert ndcg(["b"], GRADES) < 0.2


def test_condensed_ndcg_removes_unjudged_items_first() -> None:
    assert ndcg(["x", "y", "a", "b"], GRADES) < 1.0
    assert condensed_ndcg(["x", "y", "a", "b"], GRADES) == pytest.approx(1.0)


def test_a_query_without_relevant_items_scores_zero() -> None:
    assert ndcg(["c"], {"c": 0.0}) == 0.0
    assert recall(["c"], {"c": 0.0}) == 0.0


def test_recall_is_the_share_of_relevant_items_that_were_found() -> None:
    assert recall(["b", "x"], GRADES, k=2) == pytest.approx(0.5)


def test_reciprocal_rank_is_that_of_the_first_relevant_item() -> None:
    assert reciprocal_rank(["c", "x", "b"], GRADES) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x"], GRADES) == 0.0


def test_unjudged_share_is_that_of_items_without_a_grade() -> None:
    assert unjudged_share(["a", "x", "y", "c"], GRADES, k=4) == pytest.approx(0.5)
