"""Quality metrics against hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shopfuse.metrics.ndcg import (
    auc,
    bootstrap_interval,
    condensed_ndcg,
    ndcg,
    recall,
    reciprocal_rank,
    unjudged_share,
)

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


def test_bootstrap_interval_covers_the_mean_and_narrows_with_more_data() -> None:
    values = np.random.default_rng(1).random(2000)
    low, high = bootstrap_interval(values)
    few_low, few_high = bootstrap_interval(values[:50])

    assert low < values.mean() < high
    assert high - low < few_high - few_low


def test_auc_counts_pairs_in_the_right_order_and_ties_half() -> None:
    scores, labels = np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])

    assert auc(scores, labels) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels))
    assert math.isnan(auc(scores, np.zeros(4)))
