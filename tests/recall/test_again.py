"""The channel of what the user had before: often and lately first, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.repeats import DAY_S, NO_MEMORY, Memory
from shopfuse.recall.again import AgainIndex, build_again
from shopfuse.recall.selection import Selection
from shopfuse.release.manifest import ReleaseError
from tests.memories import memory_of

NOW = 1_780_000_000.0
ITEMS = 6


def memory(*deeds: tuple[int, float]) -> Memory:
    """Of purchases of (row, days ago)."""
    rows, days = np.array(sorted(deeds, key=lambda deed: -deed[1]), np.float64).reshape(-1, 2).T
    return memory_of(rows.astype(np.int32), np.ones(len(rows), np.bool_), NOW - days * DAY_S, NOW)


@pytest.fixture
def index(tmp_path: Path) -> AgainIndex:
    rates = np.array([0.5, 0.5, 0.5, 0.5, 0.0, 0.01], np.float32)
    build_again(tmp_path, rates, rates, rates)
    return AgainIndex.open(tmp_path)


def test_what_was_had_often_and_lately_comes_first(index: AgainIndex) -> None:
    often, lately, long_ago = [(0, 7.0 * week) for week in range(10)], [(1, 2.0)], [(3, 500.0)]

    assert index.search(memory(*long_ago, *lately, *often), 10).rows.tolist() == [0, 1, 3]
    assert index.search(memory(*long_ago, *lately, *often), 2).rows.tolist() == [0, 1]


def test_what_nobody_comes_back_to_comes_later_but_in_its_order(index: AgainIndex) -> None:
    hits = index.search(memory((0, 9.0), (4, 2.0), (5, 1.0)), 10)

    assert hits.rows.tolist() == [0, 5, 4]
    assert (hits.scores > 0).all()


def test_a_selection_is_kept_to(index: AgainIndex) -> None:
    mask = np.arange(ITEMS) != 0

    assert index.search(memory((0, 1.0), (1, 2.0)), 10, Selection(mask)).rows.tolist() == [1]
    assert len(index.search(memory((0, 1.0)), 10, Selection(mask))) == 0


def test_scores_are_those_of_the_hits_and_0_elsewhere(index: AgainIndex) -> None:
    had = memory((3, 1.0), (1, 5.0), (3, 8.0))
    hits = index.search(had, 10)

    scores = index.score(had, np.array([5, 3, 0, 1], np.int32))

    assert scores.tolist() == [0.0, *hits.scores[:1].tolist(), 0.0, *hits.scores[1:].tolist()]


def test_nothing_had_is_nothing_found(index: AgainIndex) -> None:
    assert len(index.search(NO_MEMORY, 10)) == 0


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    rates = np.zeros(ITEMS, np.float32)
    build_again(tmp_path, rates, rates[1:], rates)

    with pytest.raises(ReleaseError, match="does not fit"):
        AgainIndex.open(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"again_rates\.npy"):
        AgainIndex.open(tmp_path)
