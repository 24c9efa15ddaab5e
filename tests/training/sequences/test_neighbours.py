"""What is counted of items that go together, against counting by hand."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest

from shopfuse.training.sequences.neighbours import STEPS, following, together
from tests.training.sequences.histories import histories, walks

LISTS = [walk + walk[:1] for walk in walks(users=30, items=12)]
SEEN = Counter(item for items in LISTS for item in items)


def scaled(pair: tuple[int, int], count: float, shrink: float) -> float:
    return float(count / np.sqrt((SEEN[pair[0]] + shrink) * (SEEN[pair[1]] + shrink)))


def test_together_is_the_cosine_over_users() -> None:
    counts: Counter[tuple[int, int]] = Counter()
    for items in LISTS:
        for left, right in combinations(items, 2):
            if left != right:
                counts.update([(left, right), (right, left)])

    near = together(histories(LISTS), 12, shrink=2.0).scores(histories([[item] for item in range(12)]), decay=1.0)

    for pair in product(range(12), range(12)):
        assert near[pair] == pytest.approx(scaled(pair, counts[pair], 2.0), abs=1e-6)


def test_following_counts_near_steps_more_and_one_direction_only() -> None:
    counts: Counter[tuple[int, int]] = Counter()
    for items in LISTS:
        for place, left in enumerate(items):
            for step, right in enumerate(items[place + 1 : place + 1 + STEPS], 1):
                if left != right:
                    counts[left, right] += 1 / step  # type: ignore[assignment]
    singles = histories([[item] for item in range(12)])

    near = following(histories(LISTS), 12, shrink=2.0)

    for pair in product(range(12), range(12)):
        assert near.scores(singles, 1.0)[pair] == pytest.approx(scaled(pair, counts[pair], 2.0), abs=1e-6)
    assert np.allclose(near.reversed().scores(singles, 1.0), near.scores(singles, 1.0).T)


def test_older_items_of_a_history_count_less() -> None:
    near = together(histories(LISTS), 12, shrink=0.0)
    one, other = near.scores(histories([[3], [7]]), 1.0)

    both = near.scores(histories([[3, 7]]), decay=0.5)

    assert np.allclose(both[0], 0.5 * one + other, atol=1e-6)


def test_histories_of_single_items_have_no_neighbours() -> None:
    near = together(histories([[0], [1]]), 3, shrink=1.0)

    assert near.scores(histories([[0, 1]]), 0.7).tolist() == [[0.0, 0.0, 0.0]]
