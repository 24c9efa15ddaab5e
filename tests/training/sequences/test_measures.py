"""Ranks and figures: all items, no seen ones, ties against the target, intervals over users."""

from __future__ import annotations

import numpy as np
import pytest

from shopfuse.training.sequences.measures import COLUMNS, groups, intervals, row, values
from shopfuse.training.sequences.scoring import NOWHERE, ranks
from shopfuse.training.sequences.split import Cases
from tests.training.sequences.histories import histories


def test_ranks_count_every_item_that_is_not_seen_and_ties_against_the_target() -> None:
    scores = np.array([[9.0, 5.0, 5.0, 7.0, 1.0]], np.float32)
    cases = Cases(histories([[0], [3], [4], [1]]), np.array([1, 2, 0, 1], np.int32))

    actual = ranks(lambda inputs: np.repeat(scores, len(inputs), 0), cases)

    assert actual.tolist() == [3, 3, 1, NOWHERE]  # 7 and a tie above 5; 9 and a tie; the best; already seen


def test_hits_and_gains_follow_from_the_rank_of_the_target() -> None:
    actual = values(np.array([1, 2, 6, 11, NOWHERE], np.int32))

    gain = 1 / np.log2(3), 1 / np.log2(7), 1 / np.log2(12)
    assert dict(zip(COLUMNS, actual.mean(0), strict=True)) == pytest.approx(
        {
            "hr@5": 0.4,
            "ndcg@5": (1 + gain[0]) / 5,
            "hr@10": 0.6,
            "ndcg@10": (1 + gain[0] + gain[1]) / 5,
            "hr@20": 0.8,
            "ndcg@20": (1 + sum(gain)) / 5,
        }
    )


def test_seeds_of_a_user_are_averaged_before_users_are_drawn() -> None:
    ranked = np.tile(np.random.default_rng(0).integers(1, 30, 200).astype(np.int32), (3, 1))

    thrice, once = row(ranked, ranked, {}), row(ranked[:1], ranked, {})

    assert thrice["ndcg@10_low"] == pytest.approx(once["ndcg@10_low"])
    assert len(thrice["seeds"]) == 3  # type: ignore[arg-type]


def test_interval_of_a_mean_is_as_wide_as_its_standard_error_says() -> None:
    values_ = np.random.default_rng(1).normal(2.0, 1.0, (4000, 1))

    (actual,) = intervals(values_)

    assert actual.mean == pytest.approx(values_.mean())
    assert actual.high - actual.low == pytest.approx(2 * 1.96 / np.sqrt(4000), rel=0.15)


def test_a_lead_is_paired_user_by_user() -> None:
    own = np.random.default_rng(0).integers(2, 40, (1, 500)).astype(np.int32)

    actual = row(own, own - 1, {})

    assert 0 < float(actual["lead_low"]) < float(actual["served_leads_by"]) < float(actual["lead_high"])  # type: ignore[arg-type]
    assert float(actual["lead_low"]) > float(actual["ndcg@10_low"]) - float(actual["ndcg@10"])  # type: ignore[arg-type]


def test_groups_of_targets_are_apart_and_complete() -> None:
    members = groups(np.array([0, 1, 5, 6, 20, 21, 900]))

    assert {name: chosen.sum() for name, chosen in members.items()} == {"cold": 1, "tail": 2, "torso": 2, "head": 2}
    assert np.stack(list(members.values())).sum(0).tolist() == [1] * 7
