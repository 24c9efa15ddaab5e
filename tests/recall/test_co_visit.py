"""Co-visits against counting in plain Python."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.recall import pairs as pairs_module
from shopfuse.recall.co_visit import HALF_LIFE_S, HALF_SURE, NEIGHBOURS, SESSION_ITEMS, SHRINKAGE, build_co_visit
from shopfuse.recall.pairs import PairIndex
from shopfuse.recall.selection import Selection
from shopfuse.recall.visits import Sessions
from shopfuse.release.manifest import ReleaseError

ITEMS = 120
Floats = NDArray[np.float64]
FILES = ("co_visit_indptr", "co_visit_rows", "co_visit_scores")


def random_sessions(events: int, sessions: int, seed: int = 0) -> Sessions:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, sessions, events),
        (rng.zipf(1.3, events) % (ITEMS + 1) - 1).astype(np.int32),
        rng.choice([1.0, 2.0, 3.0], events).astype(np.float32),
        rng.permutation(events) * 1000.0,  # distinct times: the order within a session is plain
    )


def counted(sessions: Sessions) -> dict[int, list[tuple[float, int]]]:
    """Each item's neighbours as (-score, row), best first."""
    by_session: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    newest = max((at for row, at in zip(sessions[1], sessions[3], strict=True) if row >= 0), default=0.0)
    for code, row, weight, at in zip(*sessions, strict=True):
        if row >= 0:
            old_at, old_weight = by_session[int(code)].get(int(row), (-1.0, 0.0))
            by_session[int(code)][int(row)] = (max(old_at, at), max(old_weight, weight))
    products: dict[tuple[int, int], float] = defaultdict(float)
    mean_squares = 0.0
    for seen in by_session.values():
        last = sorted(seen.items(), key=lambda entry: -entry[1][0])[:SESSION_ITEMS]
        decay = 2.0 ** ((last[0][1][0] - newest) / HALF_LIFE_S)
        mean_squares += sum(weight for _, (_, weight) in last) * decay / len(last)
        for row, (_, weight) in last:
            for other, (_, other_weight) in last:
                products[row, other] += (weight * other_weight) ** 0.5 * decay
    neighbours: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (row, other), product in products.items():
        if row != other:
            sizes = (products[row, row] + SHRINKAGE) * (products[other, other] + SHRINKAGE)
            by_chance = products[row, row] * products[other, other] / mean_squares
            above = min((product - by_chance) / by_chance**0.5, 1.0)
            if above > 0:
                neighbours[row].append((-above * product / sizes**0.5, other))
    return {row: sorted(pairs) for row, pairs in neighbours.items()}


def sure(cosines: Floats) -> Floats:
    """How sure the channel is where it summed these."""
    return cosines / (cosines + HALF_SURE)


def build(folder: Path, sessions: Sessions) -> PairIndex:
    build_co_visit(folder, sessions, ITEMS)
    return PairIndex.open(folder, "co_visit", HALF_SURE)


@pytest.mark.parametrize("pairs_at_once", [8_000_000, 500, 1])
def test_neighbours_and_scores_are_those_of_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairs_at_once: int
) -> None:
    monkeypatch.setattr(pairs_module, "PAIRS_AT_ONCE", pairs_at_once)
    sessions = random_sessions(4000, 90)  # sessions of more than SESSION_ITEMS items among them
    index = build(tmp_path, sessions)

    expected = counted(sessions)
    assert len(expected) > 50
    for row in range(ITEMS):
        hits = index.search(np.array([row], np.int32), np.ones(1, np.float32), 1000)
        best = np.array([-score for score, _ in expected.get(row, [])[:NEIGHBOURS]])
        np.testing.assert_allclose(hits.scores, sure(best), rtol=1e-5)
        scores = {other: -score for score, other in expected.get(row, [])}
        of_hits = np.array([scores[int(other)] for other in hits.rows])
        np.testing.assert_allclose(hits.scores, sure(of_hits), rtol=1e-5)
    assert index.partner_scores.min() > 0
    assert index.partner_scores.max() <= 1


def test_a_history_sums_its_items_shares_and_leaves_unknown_ones_out(tmp_path: Path) -> None:
    index = build(tmp_path, random_sessions(2000, 200))
    history, weights = np.array([3, -1, 8], np.int32), np.array([0.5, 0.2, 0.3], np.float32)
    everything = np.arange(ITEMS, dtype=np.int32)
    hits = index.search(history, weights, 10)

    scores = index.score(history, weights, everything)
    np.testing.assert_allclose(scores, sure(0.5 * single(index, 3) + 0.3 * single(index, 8)), rtol=1e-5)
    assert hits.rows.tolist() == np.lexsort((everything, -scores))[:10].tolist()
    np.testing.assert_allclose(hits.scores, scores[hits.rows])


def single(index: PairIndex, row: int) -> Floats:
    """The cosines of one item."""
    scores = np.zeros(ITEMS)
    places = slice(index.indptr[row], index.indptr[row + 1])
    scores[index.partner_rows[places]] = index.partner_scores[places]
    return scores


def test_only_selected_rows_are_found(tmp_path: Path) -> None:
    index = build(tmp_path, random_sessions(2000, 200))
    history, weights = np.array([1, 2], np.int32), np.array([0.5, 0.5], np.float32)
    mask = np.arange(ITEMS) % 3 == 0
    everything = index.search(history, weights, ITEMS)

    kept = everything.rows[mask[everything.rows]]
    assert len(kept) > 5
    assert index.search(history, weights, 5, Selection(mask)).rows.tolist() == kept[:5].tolist()
    assert len(index.search(history, weights, 5, Selection(np.zeros(ITEMS, np.bool_)))) == 0


def test_a_pair_seen_often_scores_higher_than_one_seen_once_and_recent_higher_than_old(tmp_path: Path) -> None:
    codes = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], np.int64)
    rows = np.array([0, 1, 0, 1, 2, 3, 4, 5, 6, 7], np.int32)
    at = np.array([HALF_LIFE_S] * 8 + [0.0] * 2)
    index = build(tmp_path, (codes, rows, np.ones(10, np.float32), at))

    often, once, old = (float(single(index, row).max()) for row in (0, 2, 6))
    assert often > once > old > 0
    assert once == pytest.approx(1 / (1 + SHRINKAGE))


@pytest.mark.parametrize("items", [0, ITEMS])
def test_no_events_give_no_neighbours(tmp_path: Path, items: int) -> None:
    nothing = (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0))
    build_co_visit(tmp_path, nothing, items)
    index = PairIndex.open(tmp_path, "co_visit", HALF_SURE)
    unknown = np.full(1, -1, np.int32)

    assert len(index) == items
    assert len(index.search(unknown, np.ones(1, np.float32), 5)) == 0
    assert index.score(unknown, np.ones(1, np.float32), np.zeros(0, np.int32)).shape == (0,)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "short"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    build(tmp_path, random_sessions(200, 20))
    path = tmp_path / f"{name}.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:40])
    else:
        np.save(path, np.load(path)[:-1])

    with pytest.raises(ReleaseError, match=r"co_visit_.*npy: "):
        PairIndex.open(tmp_path, "co_visit", HALF_SURE)
