"""Pairs of items as an index: for each item its best partners and how near they are, summed over a user's history.

How near a pair is, is the cosine of two items' vectors over baskets (Linden, Smith and York, 2003), shrunk towards 0
where the evidence is thin, and where chance alone would bring the two together as often: what everybody buys goes with
nothing in particular. A sum of them says how sure the channel is, 0..1, whatever the other candidates are: a pair seen
once stays near 0 even where nothing else is known. What a basket is, a session or a user, the channels say:
recall/co_visit.py, recall/neighbours.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.groups import NO_GROUPS, Groups
from shopfuse.recall.hits import Hits, best
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, RecallIndexes, Scored
from shopfuse.recall.query import HISTORY, RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.recall.visits import Visits, place_in_run, runs, spans
from shopfuse.release.manifest import ReleaseError

LEAST_WEIGHT = 1e-3  # of an item of the history: the partners of ten are looked up, not of fifty
PAIRS_AT_ONCE = 8_000_000  # about 400 MB

Rows = NDArray[np.int32]
Floats = NDArray[np.float32]
Weighed = tuple[Rows, Floats]  # a history's rows [h], -1 where unknown, and what each counts for
Partners = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]  # (row, partner, score), by row


@dataclass(frozen=True, slots=True)
class PairCount:
    """How pairs become scores: c_ij / sqrt((c_i + shrinkage) (c_j + shrinkage)), the `partners` best of each item.

    With e_ij = chance c_i c_j, what c_ij would be if the items had nothing to do with each other, a pair counts in full
    from a standard deviation, sqrt(e_ij), above that, proportionally less below, and nothing where it lies at e_ij.
    """

    partners: int
    shrinkage: float
    by_step: bool = False  # a pair k entries apart counts 1 / k


def build_pairs(folder: Path, name: str, seen: Visits, items: int, count: PairCount) -> None:
    """Writes each item's best partners. Memory grows with the events, not with their pairs."""
    sums = np.bincount(seen.rows, weights=seen.values**2, minlength=items).astype(np.float64)
    scale = 1.0 / np.sqrt(sums + count.shrinkage)
    parts = [_partners(seen, entries, sums, scale, count) for entries in _batches(seen, items)]
    rows, partners, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    sizes = np.bincount(rows, minlength=items)
    write_array(folder / f"{name}_indptr.npy", np.concatenate(([0], np.cumsum(sizes))).astype(np.int64))
    write_array(folder / f"{name}_rows.npy", partners.astype(np.int32))
    write_array(folder / f"{name}_scores.npy", scores.astype(np.float32))


def _batches(seen: Visits, items: int) -> list[NDArray[np.int64]]:
    """Entries by item, cut where PAIRS_AT_ONCE pairs are full: an item's entries stay together. One batch at least."""
    pairs = np.bincount(seen.rows, weights=seen.sizes, minlength=items)
    batch_of_item = (np.cumsum(pairs) - pairs) // PAIRS_AT_ONCE
    order = np.argsort(seen.rows, kind="stable")
    starts, _ = runs(batch_of_item[seen.rows[order]])
    return np.split(order, starts[1:])


def _partners(
    seen: Visits, entries: NDArray[np.int64], sums: NDArray[np.float64], scale: NDArray[np.float64], count: PairCount
) -> Partners:
    """Those of the items of `entries`, by row and best first."""
    own = np.repeat(entries, seen.sizes[entries])
    other = spans(seen.starts[entries], seen.sizes[entries])
    own, other = own[own != other], other[own != other]
    pairs = seen.rows[own].astype(np.int64) * len(scale) + seen.rows[other]
    order = np.argsort(pairs, kind="stable")
    starts, _ = runs(pairs[order])
    shared = seen.values[own] * seen.values[other] / (np.abs(own - other) if count.by_step else 1)
    together = np.add.reduceat(shared[order], starts) if len(starts) else shared
    rows, partners = np.divmod(pairs[order][starts], max(len(scale), 1))
    by_chance = np.maximum(seen.chance * sums[rows] * sums[partners], 1e-12)
    above = np.clip((together - by_chance) / np.sqrt(by_chance), 0.0, 1.0)
    scores = together * scale[rows] * scale[partners] * above
    likely = scores > 0
    rows, partners, scores = rows[likely], partners[likely], scores[likely]
    ranked = np.lexsort((partners, -scores, rows))
    ranked = ranked[place_in_run(rows[ranked]) < count.partners]
    return rows[ranked], partners[ranked], scores[ranked]


@dataclass(frozen=True, slots=True)
class PairIndex:
    indptr: NDArray[np.int64]  # [items + 1]
    partner_rows: Rows
    partner_scores: Floats  # 0 < score < 1
    half_sure: float  # the sum that counts as 0.5

    @classmethod
    def open(cls, folder: Path, name: str, half_sure: float) -> PairIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        indptr = open_array(folder / f"{name}_indptr.npy", np.int64)
        rows = open_array(folder / f"{name}_rows.npy", np.int32)
        scores = open_array(folder / f"{name}_scores.npy", np.float32)
        if len(indptr) == 0 or indptr[-1] != len(rows) or len(rows) != len(scores):
            raise ReleaseError(f"{folder}/{name}_indptr.npy: does not fit {name}_rows.npy and {name}_scores.npy")
        return cls(indptr, rows, scores, half_sure)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def search(
        self, rows: Rows, weights: Floats, k: int, selection: Selection | None = None, groups: Groups = NO_GROUPS
    ) -> Hits:
        """The k items with the highest sum of weight * pair score over the history `rows` [h] (-1 is unknown). Of a
        product group the lowest selected row."""
        partners, shares = self._shares(rows, weights)
        if selection is not None and not groups.present:
            kept = selection.mask[partners]
            partners, shares = partners[kept], shares[kept]
        related, inverse = np.unique(partners, return_inverse=True)
        sums = np.bincount(inverse, weights=shares, minlength=len(related)).astype(np.float64, copy=False)
        if selection is not None and groups.present:
            related = groups.selected(related, selection.mask)
            related, sums = related[related >= 0], sums[related >= 0]
        return best(related, self._sure(sums), k)

    def score(self, history_rows: Rows, weights: Floats, rows: Rows) -> Floats:
        """The same for distinct `rows` [n]; 0 where an item is no partner of the history."""
        if len(rows) == 0:
            return np.zeros(0, np.float32)
        partners, shares = self._shares(history_rows, weights)
        order = np.argsort(rows)
        ordered = rows[order]
        at = np.minimum(np.searchsorted(ordered, partners), len(rows) - 1)
        asked = ordered[at] == partners
        sums = np.zeros(len(rows))
        sums[order] = np.bincount(at[asked], weights=shares[asked], minlength=len(rows))
        return self._sure(sums)

    def _shares(self, rows: Rows, weights: Floats) -> Weighed:
        """The partners of each item of a history, one after the other, and weight * pair score of each."""
        known = rows >= 0
        starts = self.indptr[rows[known]]
        sizes = self.indptr[rows[known] + 1] - starts
        at = spans(starts, sizes)
        return self.partner_rows[at], self.partner_scores[at] * np.repeat(weights[known], sizes)

    def _sure(self, sums: NDArray[np.float64]) -> Floats:
        sure: Floats = (sums / (sums + self.half_sure)).astype(np.float32)
        return sure


def fading(newest_rows: Rows, decay: float) -> Weighed:
    """Each step back to an older item its weight is `decay` times, and below LEAST_WEIGHT it says nothing any more."""
    weights = decay ** np.arange(len(newest_rows))
    counting = int(np.count_nonzero(weights >= LEAST_WEIGHT))
    return newest_rows[:counting], weights[:counting].astype(np.float32)


def pair_channel(file: IndexFile[PairIndex], weighed: Callable[[RecallQuery], Weighed]) -> RecallChannel:
    """Partners of a history, as `weighed` takes it from the query. Pairs are of products: a variant has its group's."""

    def search(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Hits:
        rows, weights = weighed(query)
        groups = indexes.items.groups
        return indexes[file].search(groups.of_rows(rows), weights, k, selection, groups)

    def score(scored: Scored) -> Column:
        rows, weights = weighed(scored.query)
        groups, index = scored.indexes.items.groups, scored.indexes[file]
        if not groups.present:
            return index.score(rows, weights, scored.rows)
        codes, place = np.unique(groups.of_rows(scored.rows), return_inverse=True)
        return index.score(groups.of_rows(rows), weights, codes)[place]

    return RecallChannel(file, needs=(HISTORY,), score=score, search=search)
