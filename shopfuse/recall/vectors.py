"""A vector channel: nearest items by inner product of normalised vectors, in one memory-mapped faiss file.

The search is exact where that takes a few milliseconds, else it walks an HNSW graph (Malkov and Yashunin, 2018).
Vectors are stored as fp16 and can be read back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import faiss as untyped_faiss
import numpy as np
from numpy.typing import NDArray

from shopfuse.core.atomic_files import atomic_file
from shopfuse.recall.hits import NO_HITS, Hits, best
from shopfuse.recall.selection import Selection
from shopfuse.release.manifest import ReleaseError

faiss: Any = untyped_faiss  # the stubs of faiss lack much of what it has

# Scanning 10 million fp16 numbers takes 0.5 to 2 ms on one core: 26,000 rows of 384 numbers, 78,000 of 128.
EXACT_NUMBERS = 10_000_000
# Where few rows are selected a walk of the graph mostly meets rows that are not: at a tenth of 300,000 rows it finds
# 84 % of the nearest in the time in which a scan finds all.
EXACT_SHARE = 0.25
LINKS = 32  # of a node in the graph
BUILD_BREADTH = 128
SEARCH_BREADTH = 128
ADDED_AT_ONCE = 65_536


def build_vectors(path: Path, vectors: NDArray[Any]) -> None:
    """Writes the index of `vectors` [items, dimensions], each row L2-normalised or zero."""
    count, dimensions = vectors.shape
    index = _empty_index(dimensions, graph=count * dimensions > EXACT_NUMBERS)
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    index.train(np.zeros((1, dimensions), np.float32))
    for start in range(0, count, ADDED_AT_ONCE):
        index.add(np.ascontiguousarray(vectors[start : start + ADDED_AT_ONCE], np.float32))
    _write(path, index)


def _empty_index(dimensions: int, graph: bool) -> Any:
    fp16, inner_product = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    if not graph:
        return faiss.IndexScalarQuantizer(dimensions, fp16, inner_product)
    index = faiss.IndexHNSWSQ(dimensions, fp16, LINKS, inner_product)
    index.hnsw.efConstruction = BUILD_BREADTH
    return index


def _write(path: Path, index: Any) -> None:
    with atomic_file(path) as staged:
        faiss.write_index(index, str(staged))


class VectorIndex:
    def __init__(self, index: Any) -> None:
        """`index` is an IndexScalarQuantizer of fp16, or an IndexHNSWSQ over one."""
        self._graph = index if isinstance(index, faiss.IndexHNSW) else None
        self._scan = faiss.downcast_index(index.storage) if self._graph is not None else index
        self._index = index  # owns what the others point into
        self.vectors: NDArray[np.float16] = _stored_vectors(self._scan)  # [items, dimensions], read-only

    @classmethod
    def open(cls, path: Path) -> VectorIndex:
        """Raises ReleaseError naming the file where it is missing, damaged or of another kind."""
        if not path.is_file():
            raise ReleaseError(f"{path}: missing")
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise ReleaseError(f"{path}: not a whole vector index ({_first_line(error)})") from error
        if not isinstance(index, faiss.IndexScalarQuantizer | faiss.IndexHNSWSQ):
            raise ReleaseError(f"{path}: a faiss {type(index).__name__}, expected fp16 vectors")
        return cls(index)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, vector: NDArray[np.float32], k: int, selection: Selection | None = None) -> Hits:
        """The k rows with the highest inner product with `vector` [dimensions]."""
        allowed = len(self) if selection is None else selection.count
        k = min(k, allowed)
        if k <= 0:
            return NO_HITS
        faiss.omp_set_num_threads(1)  # of this thread: requests run side by side already
        selector = None if selection is None else faiss.IDSelectorBitmap(selection.bitmap)
        share = 1.0 if selection is None else selection.share
        if self._graph is None or allowed * self.vectors.shape[1] <= EXACT_NUMBERS or share <= EXACT_SHARE:
            return _search(self._scan, vector, k, faiss.SearchParameters(sel=selector))
        breadth = int(max(SEARCH_BREADTH, 2 * k) / share)
        return _search(self._graph, vector, k, faiss.SearchParametersHNSW(sel=selector, efSearch=breadth))

    def score(self, vector: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """The inner products of `vector` [dimensions] with known rows, [n]."""
        # Not `@`: for so small a product BLAS would wake its threads, which wait longer for a core than they work.
        scores: NDArray[np.float32] = np.einsum("nd,d->n", self.vectors[rows].astype(np.float32), vector)
        return scores.astype(np.float32, copy=False)


def _search(index: Any, vector: NDArray[np.float32], k: int, parameters: Any) -> Hits:
    scores, rows = index.search(np.ascontiguousarray(vector[None], np.float32), k, params=parameters)
    known = rows[0] >= 0
    return best(rows[0][known], scores[0][known], k)


def _stored_vectors(scan: Any) -> NDArray[np.float16]:
    if scan.ntotal == 0:
        return np.zeros((0, scan.d), np.float16)
    codes: NDArray[np.uint8] = faiss.rev_swig_ptr(scan.codes.data(), scan.ntotal * scan.code_size)
    vectors = codes.view(np.float16).reshape(scan.ntotal, scan.d)
    vectors.flags.writeable = False  # the pages are mapped read-only: writing would end the process
    return vectors


def _first_line(error: RuntimeError) -> str:
    return str(error).splitlines()[0][:200]
