"""The vector channel against a matrix product: exact scans, the graph, and selections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.recall import vectors as vectors_module
from shopfuse.recall.selection import Selection
from shopfuse.recall.vectors import VectorIndex, build_vectors
from shopfuse.release.manifest import ReleaseError
from tests.recall.shop import unit_vectors

ITEMS, DIMENSIONS = 6000, 32
VECTORS = unit_vectors(ITEMS, DIMENSIONS, clusters=60).astype(np.float16)
QUERIES = unit_vectors(30, DIMENSIONS, seed=1, clusters=60)


def reference(query: NDArray[np.float32], mask: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    scores = np.where(mask, VECTORS.astype(np.float32) @ query, -np.inf)
    return np.argsort(-scores, kind="stable")[: min(k, int(mask.sum()))]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> VectorIndex:
    path = tmp_path_factory.mktemp("scan") / "v.faiss"
    build_vectors(path, VECTORS)
    return VectorIndex.open(path)


@pytest.fixture(scope="module")
def graph_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "v.faiss"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors_module, "EXACT_NUMBERS", 1000)
        build_vectors(path, VECTORS)
    return path


@pytest.fixture
def graph(graph_path: Path, monkeypatch: pytest.MonkeyPatch) -> VectorIndex:
    """The index of a catalogue that is too large to scan."""
    monkeypatch.setattr(vectors_module, "EXACT_NUMBERS", 1000)
    return VectorIndex.open(graph_path)


def random_selection(share: float) -> Selection:
    return Selection(np.random.default_rng(2).random(ITEMS) < share)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_a_scan_is_exact(scan: VectorIndex, share: float) -> None:
    selection = random_selection(share) if share < 1 else None
    for query in QUERIES[:10]:
        hits = scan.search(query, 100, selection)

        expected = reference(query, random_selection(share).mask, 100)
        products = VECTORS[expected].astype(np.float32) @ query
        np.testing.assert_allclose(hits.scores, products, atol=1e-5)
        assert len(np.intersect1d(hits.rows, expected)) >= len(expected) - 1  # neighbours closer than fp32 rounding


@pytest.mark.parametrize("share", [1.0, 0.6, 0.2, 0.02])
def test_the_graph_finds_nearly_all_of_the_nearest(graph: VectorIndex, share: float) -> None:
    selection = random_selection(share) if share < 1 else None
    mask = np.ones(ITEMS, np.bool_) if selection is None else selection.mask
    recalls = []
    for query in QUERIES:
        hits = graph.search(query, 100, selection)
        assert mask[hits.rows].all()
        assert (np.diff(hits.scores) <= 0).all()
        recalls.append(len(np.intersect1d(hits.rows, reference(query, mask, 100))) / min(100, mask.sum()))

    assert np.mean(recalls) >= 0.97


def test_vectors_and_scores_come_back_as_they_were_written(scan: VectorIndex, graph: VectorIndex) -> None:
    rows = np.array([5, 0, ITEMS - 1, 5], np.int32)

    for index in (scan, graph):
        np.testing.assert_array_equal(index.vectors, VECTORS)
        np.testing.assert_allclose(
            index.score(QUERIES[0], rows), VECTORS[rows].astype(np.float32) @ QUERIES[0], atol=1e-6
        )
        with pytest.raises(ValueError, match="read-only"):
            index.vectors[0] = 0


def test_a_selection_smaller_than_k_gives_all_of_it_and_an_empty_one_nothing(scan: VectorIndex) -> None:
    mask = np.zeros(ITEMS, np.bool_)
    assert len(scan.search(QUERIES[0], 10, Selection(mask))) == 0
    mask = mask.copy()
    mask[[3, 9]] = True

    assert set(scan.search(QUERIES[0], 10, Selection(mask)).rows) == {3, 9}


def test_equal_vectors_come_in_the_order_of_rows(tmp_path: Path) -> None:
    build_vectors(tmp_path / "v", np.repeat(VECTORS[:1], 50, axis=0))

    assert VectorIndex.open(tmp_path / "v").search(QUERIES[0], 50).rows.tolist() == list(range(50))


@pytest.mark.parametrize("count", [0, 1])
def test_all_of_a_tiny_catalogue_is_found(tmp_path: Path, count: int) -> None:
    build_vectors(tmp_path / "v", VECTORS[:count])
    index = VectorIndex.open(tmp_path / "v")

    assert len(index) == count
    assert index.search(QUERIES[0], 5).rows.tolist() == list(range(count))


@pytest.mark.parametrize("kept", [0, 3, 50, 100_000, -1])
def test_a_damaged_file_is_named(graph_path: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.faiss"
    path.write_bytes(graph_path.read_bytes()[:kept])

    with pytest.raises(ReleaseError, match=r"cut\.faiss"):
        VectorIndex.open(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"none\.faiss: missing"):
        VectorIndex.open(tmp_path / "none.faiss")
