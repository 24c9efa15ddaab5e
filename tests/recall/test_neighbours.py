"""Neighbours and transitions against counting in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.recall import pairs as pairs_module
from shopfuse.recall.neighbours import (
    DECAY,
    HALF_SURE,
    NEIGHBOURS,
    SHRINKAGE,
    STEPS,
    USER_ITEMS,
    build_neighbours,
    build_transitions,
)
from shopfuse.recall.pairs import LEAST_WEIGHT, PairIndex, Weighed, fading
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.recall.visits import Sessions
from shopfuse.release.manifest import ReleaseError

ITEMS = 250
EVERY = np.arange(ITEMS, dtype=np.int32)
BUILD = {"neighbours": build_neighbours, "transitions": build_transitions}
Cosines = dict[tuple[int, int], float]


def random_events(events: int = 6000, users: int = 70, seed: int = 0) -> Sessions:
    """Some users have more than USER_ITEMS items, and come back to some."""
    rng = np.random.default_rng(seed)
    rows = (rng.zipf(1.2, events) % (ITEMS + 1) - 1).astype(np.int32)
    return rng.integers(0, users, events), rows, np.ones(events, np.float32), rng.permutation(events) * 1000.0


def weighed_history(rows: NDArray[np.int32], decay: float) -> Weighed:
    return fading(RecallQuery(history_rows=rows).newest_rows, decay)


def newest(events: Sessions) -> list[list[int]]:
    """Each user's newest distinct items, oldest first."""
    last: dict[int, dict[int, float]] = defaultdict(dict)
    for user, row, _, at in zip(*events, strict=True):
        if row >= 0:
            last[int(user)][int(row)] = max(at, last[int(user)].get(int(row), 0.0))
    return [sorted(items, key=lambda row: items[row])[-USER_ITEMS:] for items in last.values()]


def cosines(histories: list[list[int]], name: str) -> Cosines:
    seen = Counter(row for items in histories for row in items)
    counts: dict[tuple[int, int], float] = defaultdict(float)
    for items in histories:
        if name == "neighbours":
            for pair in permutations(items, 2):
                counts[pair] += 1.0
        else:
            for place, row in enumerate(items):
                for step, follower in enumerate(items[place + 1 : place + 1 + STEPS], 1):
                    counts[row, follower] += 1 / step
    possible = sum(len(items) * (len(items) - 1) for items in histories)
    chance = sum(counts.values()) / possible if name == "transitions" else 1.0  # of a pair to count
    scores = {}
    for (row, other), count in counts.items():
        by_chance = chance * seen[row] * seen[other] / len(histories)
        above = min(max(count - by_chance, 0.0) / by_chance**0.5, 1.0)
        scores[row, other] = above * count / ((seen[row] + SHRINKAGE) * (seen[other] + SHRINKAGE)) ** 0.5
    return {pair: score for pair, score in scores.items() if score > 0}


def sums(pairs: Cosines, history: list[int]) -> NDArray[np.float64]:
    """The decayed sums over a history that is oldest first, as the channel says how sure it is."""
    total = np.zeros(ITEMS)
    for steps, item in enumerate(reversed(history)):
        if DECAY**steps < LEAST_WEIGHT:
            break
        for row in range(ITEMS):
            total[row] += DECAY**steps * pairs.get((item, row), 0.0)
    return total / (total + HALF_SURE)


def opened(folder: Path, name: str, events: Sessions) -> PairIndex:
    BUILD[name](folder, events, ITEMS)
    return PairIndex.open(folder, name, HALF_SURE)


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("pairs_at_once", [8_000_000, 5000, 1])
def test_scores_are_those_of_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pairs_at_once: int
) -> None:
    monkeypatch.setattr(pairs_module, "PAIRS_AT_ONCE", pairs_at_once)
    events = random_events()
    index, pairs = opened(tmp_path, name, events), cosines(newest(events), name)

    partners = np.diff(index.indptr)
    assert partners.max() <= NEIGHBOURS
    full = np.flatnonzero(partners == NEIGHBOURS)  # of such an item only the best are kept
    history = [row for row in range(40, 60) if row not in full]
    weighed = weighed_history(np.array(history, np.int32), DECAY)
    np.testing.assert_allclose(index.score(*weighed, EVERY), sums(pairs, history), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", BUILD)
def test_the_best_come_first_and_only_selected_ones(tmp_path: Path, name: str) -> None:
    index = opened(tmp_path, name, random_events())
    weighed, mask = weighed_history(np.array([50, 30, 41], np.int32), DECAY), EVERY % 3 == 0
    scores = index.score(*weighed, EVERY)

    ranking = np.lexsort((EVERY, -scores))
    assert index.search(*weighed, 8).rows.tolist() == ranking[:8].tolist()
    assert index.search(*weighed, 5, Selection(mask)).rows.tolist() == ranking[mask[ranking]][:5].tolist()
    np.testing.assert_array_equal(index.search(*weighed, 8).scores, scores[ranking[:8]])


def test_an_item_keeps_its_nearest_neighbours(tmp_path: Path) -> None:
    users = np.repeat(np.arange(60), 21)  # all of them had item 0, and others in ever larger numbers
    rows = np.where(np.arange(len(users)) % 21 == 0, 0, 1 + (np.arange(len(users)) * 37) % (ITEMS - 1))
    users, rows = np.append(users, 60 + np.arange(600)), np.append(rows, np.full(600, ITEMS - 1))  # others, who did not
    events = (users, rows.astype(np.int32), np.ones(len(users), np.float32), np.arange(len(users)) * 1.0)
    index = opened(tmp_path, "neighbours", events)
    pairs = cosines(newest(events), "neighbours")
    of_zero = sorted((score for (row, _), score in pairs.items() if row == 0), reverse=True)

    assert len(of_zero) > NEIGHBOURS
    assert index.indptr[1] == NEIGHBOURS
    np.testing.assert_allclose(index.partner_scores[:NEIGHBOURS], of_zero[:NEIGHBOURS], rtol=1e-5)


def test_a_history_counts_each_item_once_by_its_newest_event() -> None:
    rows, weights = weighed_history(np.array([4, -1, 9, 4, 4, -1, 2], np.int32), 0.5)

    assert rows.tolist() == [2, 4, 9]
    assert weights.tolist() == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("items", [0, ITEMS])
def test_no_events_give_no_pairs(tmp_path: Path, name: str, items: int) -> None:
    nothing = (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0))
    BUILD[name](tmp_path, nothing, items)
    index = PairIndex.open(tmp_path, name, HALF_SURE)
    unknown = weighed_history(np.full(1, -1, np.int32), DECAY)

    assert len(index) == items
    assert len(index.search(*unknown, 5)) == 0


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("part", ["indptr", "rows", "scores"])
@pytest.mark.parametrize("damage", ["missing", "cut", "short"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, part: str, damage: str) -> None:
    opened(tmp_path, name, random_events(200, 20))
    path = tmp_path / f"{name}_{part}.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:40])
    else:
        np.save(path, np.load(path)[: len(np.load(path)) // 2])

    with pytest.raises(ReleaseError, match=rf"{name}_.*npy: "):
        PairIndex.open(tmp_path, name, HALF_SURE)
