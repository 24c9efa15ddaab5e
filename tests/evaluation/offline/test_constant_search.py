"""Constants judged by the queries that did not choose them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shopfuse.evaluation.offline.constant_search import (
    Choice,
    Floats,
    coordinate_search,
    folds,
    judge,
    judge_together,
)

QUERIES = 40
EVERY = np.arange(QUERIES)


def both(values: Floats) -> Floats:
    """As both measures of each query."""
    return np.stack([values, values], 1)


def measured_by_luck(choice: Choice) -> Floats:
    """No value is better than another; each query likes some by chance."""
    return both(np.random.default_rng(int(choice[0])).random(QUERIES))


def test_each_query_is_left_out_once_and_parts_are_the_same_again() -> None:
    parts, again = folds(QUERIES, 7), folds(QUERIES, 7)

    assert sorted(np.concatenate(parts).tolist()) == list(range(QUERIES))
    assert max(map(len, parts)) - min(map(len, parts)) == 1
    assert all((one == other).all() for one, other in zip(parts, again, strict=True))
    with pytest.raises(ValueError, match="expected 2 to 3 folds"):
        folds(3, 4)


def test_a_value_that_is_better_for_every_query_is_reported_as_changed() -> None:
    judged = judge(lambda choice: both(np.full(QUERIES, 0.5 + 0.1 * choice[0])), [(0, 1, 2)], 0, folds(QUERIES, 10))

    assert judged.verdict == "changed: 2 holds"
    assert judged.stability == (2, 1.0)
    assert judged.held_out.lead() == pytest.approx((0.2, 0.2, 0.2))


def test_what_is_best_by_luck_alone_is_kept_as_it_is() -> None:
    judged = judge(measured_by_luck, [tuple(range(20))], 0, folds(QUERIES, 10))

    on_all = judged.means.mean(1)
    assert on_all.max() > on_all[0] + 0.05  # the best of twenty looks better on the queries that chose it
    assert judged.verdict.startswith("kept")
    assert abs(judged.held_out.lead()[0]) < on_all.max() - on_all[0]


def test_a_query_does_not_choose_the_value_that_it_is_measured_by() -> None:
    """One fold a query: the odd one is measured by what is best for all others, however bad that is for it."""

    def measure(choice: Choice) -> Floats:
        values = np.full(QUERIES, 0.5 + 0.1 * choice[0])
        values[0] = 0.0 if choice[0] else 1.0
        return both(values)

    judged = judge(measure, [(0, 1)], 0, folds(QUERIES, QUERIES))

    assert judged.held_out.by_chosen[0].tolist() == [0.0, 0.0]


def test_a_constant_that_no_query_depends_on_is_said_to_be_so() -> None:
    judged = judge(lambda _: both(np.full(QUERIES, 0.5)), [(1.0, 2.0)], 0, folds(QUERIES, 5))

    assert judged.verdict == "not told: no query depends on it"


def test_a_fold_that_chooses_worse_for_the_others_is_told() -> None:
    """Each half of the queries likes what harms the other half."""
    parts = folds(QUERIES, 2)

    def measure(choice: Choice) -> Floats:
        values = np.full(QUERIES, 0.5)
        if choice[0]:
            values[parts[choice[0] - 1]] = 0.6
            values[parts[2 - choice[0]]] = 0.3
        return both(values)

    assert judge(measure, [(0, 1, 2)], 0, parts).verdict == "kept: others do worse on queries left out"


def test_coordinate_search_goes_on_until_no_constant_changes() -> None:
    """The second constant is good only once the first has changed, and the first changes once more after that."""
    worth: dict[tuple[Any, ...], float] = {(0, 0): 0.1, (1, 0): 0.2, (1, 1): 0.3, (2, 1): 0.4, (2, 0): 0.15}

    found = coordinate_search(
        lambda choice: both(np.full(QUERIES, worth.get(choice, 0.0))), [(0, 1, 2), (0, 1)], (0, 0), EVERY
    )

    assert found == (2, 1)


def test_all_constants_together_are_chosen_without_the_queries_left_out() -> None:
    held_out = judge_together(measured_by_luck, [tuple(range(20))], folds(QUERIES, 10))

    chosen_on_all = max(float(measured_by_luck((value,)).mean()) for value in range(20))
    assert float(held_out.by_chosen.mean()) < chosen_on_all
    assert len(held_out.chosen) == 10
