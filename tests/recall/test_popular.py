"""The popularity channel: a walk down the ranking, with and without a selection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.recall.popular import FIRST_WALK, PopularIndex, build_popular
from shopfuse.recall.selection import Selection
from shopfuse.release.manifest import ReleaseError

ITEMS = 4 * FIRST_WALK
SCORES = np.round(np.random.default_rng(0).random(ITEMS), 3).astype(np.float32)  # with ties
RANKING = np.lexsort((np.arange(ITEMS), -SCORES))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PopularIndex:
    folder = tmp_path_factory.mktemp("popular")
    build_popular(folder, SCORES)
    return PopularIndex.open(folder)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.05, 0.002, 0.0])
@pytest.mark.parametrize("k", [1, 200, ITEMS, 0])
def test_the_most_popular_selected_items_come_first(index: PopularIndex, share: float, k: int) -> None:
    mask = np.random.default_rng(1).random(ITEMS) < share
    hits = index.search(k, None if share == 1 else Selection(mask))

    expected = RANKING[mask[RANKING]][:k]
    assert hits.rows.tolist() == expected.tolist()
    np.testing.assert_array_equal(hits.scores, SCORES[expected])


def test_score_looks_rows_up(index: PopularIndex) -> None:
    np.testing.assert_array_equal(index.score(np.array([5, 0, 5], np.int32)), SCORES[[5, 0, 5]])


def test_an_empty_catalogue_has_nothing_popular(tmp_path: Path) -> None:
    build_popular(tmp_path, np.zeros(0, np.float32))

    assert len(PopularIndex.open(tmp_path).search(5)) == 0


@pytest.mark.parametrize("name", ["popular_rows", "popular_scores", "popular_by_row"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    build_popular(tmp_path, SCORES[:10])
    (tmp_path / f"{name}.npy").write_bytes(b"\x93NUMPY")

    with pytest.raises(ReleaseError, match=f"{name}.npy"):
        PopularIndex.open(tmp_path)


def test_files_of_different_builds_are_refused(tmp_path: Path) -> None:
    build_popular(tmp_path, SCORES[:10])
    np.save(tmp_path / "popular_by_row.npy", SCORES[:9])

    with pytest.raises(ReleaseError, match="popular_rows"):
        PopularIndex.open(tmp_path)
