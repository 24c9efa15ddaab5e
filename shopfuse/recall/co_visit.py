"""The co-visit channel: items that occur in the same sessions as the items of a user's history.

The score of a pair is the cosine of two items' vectors over sessions (Linden, Smith and York, 2003), shrunk towards 0
where the evidence is thin. Sessions count half for each HALF_LIFE_S that they are older than the newest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.hits import Hits, best
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, RecallIndexes, Scored
from shopfuse.recall.query import HISTORY, RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.recall.visits import Sessions, Visits, place_in_run, runs, spans, visits
from shopfuse.release.manifest import ReleaseError

NEIGHBOURS = 50
SHRINKAGE = 1.0  # halves the score of two items seen together once, by one view each, today
PAIRS_AT_ONCE = 8_000_000  # about 400 MB


def build_co_visit(folder: Path, sessions: Sessions, items: int) -> None:
    """Writes each item's NEIGHBOURS best neighbours. Memory grows with the events, not with their pairs."""
    seen = visits(sessions)
    norms = np.sqrt(np.bincount(seen.rows, weights=seen.values**2, minlength=items))
    parts = [_neighbours(seen, entries, norms) for entries in _batches(seen, items)]
    rows, neighbours, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    sizes = np.bincount(rows, minlength=items)
    write_array(folder / "co_visit_indptr.npy", np.concatenate(([0], np.cumsum(sizes))).astype(np.int64))
    write_array(folder / "co_visit_rows.npy", neighbours.astype(np.int32))
    write_array(folder / "co_visit_scores.npy", scores.astype(np.float32))


def _batches(seen: Visits, items: int) -> list[NDArray[np.int64]]:
    """Entries by item, cut where PAIRS_AT_ONCE pairs are full: an item's entries stay together. One batch at least."""
    pairs = np.bincount(seen.rows, weights=seen.sizes, minlength=items)
    batch_of_item = (np.cumsum(pairs) - pairs) // PAIRS_AT_ONCE
    order = np.argsort(seen.rows, kind="stable")
    starts, _ = runs(batch_of_item[seen.rows[order]])
    return np.split(order, starts[1:])


def _neighbours(
    seen: Visits, entries: NDArray[np.int64], norms: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(row, neighbour, score) of the items of `entries`, by row and best first."""
    own = np.repeat(entries, seen.sizes[entries])
    other = spans(seen.starts[entries], seen.sizes[entries])
    pairs = seen.rows[own].astype(np.int64) * len(norms) + seen.rows[other]
    order = np.argsort(pairs, kind="stable")
    starts, _ = runs(pairs[order])
    shared = (seen.values[own] * seen.values[other])[order]
    together = np.add.reduceat(shared, starts) if len(starts) else shared
    rows, neighbours = np.divmod(pairs[order][starts], max(len(norms), 1))
    scores = together / (norms[rows] * norms[neighbours] + SHRINKAGE)
    kept = np.flatnonzero(rows != neighbours)
    ranked = kept[np.lexsort((neighbours[kept], -scores[kept], rows[kept]))]
    ranked = ranked[place_in_run(rows[ranked]) < NEIGHBOURS]
    return rows[ranked], neighbours[ranked], scores[ranked]


@dataclass(frozen=True, slots=True)
class CoVisitIndex:
    indptr: NDArray[np.int64]  # [items + 1]
    neighbour_rows: NDArray[np.int32]
    neighbour_scores: NDArray[np.float32]  # 0 < score < 1

    @classmethod
    def open(cls, folder: Path) -> CoVisitIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        indptr = open_array(folder / "co_visit_indptr.npy", np.int64)
        rows = open_array(folder / "co_visit_rows.npy", np.int32)
        scores = open_array(folder / "co_visit_scores.npy", np.float32)
        if len(indptr) == 0 or indptr[-1] != len(rows) or len(rows) != len(scores):
            raise ReleaseError(f"{folder}/co_visit_indptr.npy: does not fit co_visit_rows.npy and co_visit_scores.npy")
        return cls(indptr, rows, scores)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def search(
        self, rows: NDArray[np.int32], weights: NDArray[np.float32], k: int, selection: Selection | None = None
    ) -> Hits:
        """The k items with the highest sum of weight * pair score over the history `rows` [h] (-1 is unknown)."""
        related, sums = self._related(rows, weights)
        if selection is not None:
            kept = selection.mask[related]
            related, sums = related[kept], sums[kept]
        return best(related, sums, k)

    def score(
        self, history_rows: NDArray[np.int32], weights: NDArray[np.float32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """The same sums for `rows` [n]; 0 where an item is no neighbour of the history."""
        related, sums = self._related(history_rows, weights)
        if len(related) == 0:
            return np.zeros(len(rows), np.float32)
        at = np.minimum(np.searchsorted(related, rows), len(related) - 1)
        return np.where(related[at] == rows, sums[at], 0.0).astype(np.float32)

    def _related(
        self, rows: NDArray[np.int32], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The neighbours of a history, ascending and distinct, and their sums."""
        known = rows >= 0
        starts = self.indptr[rows[known]]
        sizes = self.indptr[rows[known] + 1] - starts
        at = spans(starts, sizes)
        related, inverse = np.unique(self.neighbour_rows[at], return_inverse=True)
        shares = self.neighbour_scores[at] * np.repeat(weights[known], sizes)
        return related, np.bincount(inverse, weights=shares, minlength=len(related)).astype(np.float32)


CO_VISIT_INDEX = IndexFile(
    "co_visit",
    lambda layout, shop: build_co_visit(layout.indexes, shop.sessions, len(shop.popularity)),
    lambda layout: CoVisitIndex.open(layout.indexes),
)


def _search(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Hits:
    return indexes[CO_VISIT_INDEX].search(query.history_rows, query.history_weights, k, selection)


def _score(scored: Scored) -> Column:
    query = scored.query
    return scored.indexes[CO_VISIT_INDEX].score(query.history_rows, query.history_weights, scored.rows)


CO_VISIT = RecallChannel(CO_VISIT_INDEX, needs=(HISTORY,), score=_score, search=_search)
