"""The channel of what the user had before: an item comes back the sooner the more often and the more lately it did.

The score is the intensity of a self-exciting process (Hawkes, 1971): every occasion raises it, and what it raised fades
by several half-lives at once, so that a habit of years outlasts a week away. It is weighed by the square root of the
share of users who come back to the item at all. That an item was just bought does not lower it: whether the user wants
it back already is the policy's question.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.repeats import Memory
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.hits import Hits, best
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, RecallIndexes, Scored
from shopfuse.recall.query import MEMORY, RecallQuery
from shopfuse.recall.selection import Selection
from shopfuse.release.manifest import ReleaseError

LEAST_RATE = 0.01  # where nobody comes back the intensity alone decides


def build_again(
    folder: Path, rates: NDArray[np.float32], category_rates: NDArray[np.float32], intervals_s: NDArray[np.float32]
) -> None:
    """Writes the index of how users come back to the items, [items] each: see ITEM_ROW in ranking/features.py."""
    write_array(folder / "again_rates.npy", rates.astype(np.float32))
    write_array(folder / "again_category_rates.npy", category_rates.astype(np.float32))
    write_array(folder / "again_intervals.npy", intervals_s.astype(np.float32))


@dataclass(frozen=True, slots=True)
class AgainIndex:
    """The channel needs the rates only; the rest is for the policy `repeat_purchases`."""

    rates: NDArray[np.float32]  # [items]
    category_rates: NDArray[np.float32]  # [items]
    intervals_s: NDArray[np.float32]  # [items]

    @classmethod
    def open(cls, folder: Path) -> AgainIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        names = ("again_rates", "again_category_rates", "again_intervals")
        index = cls(*(open_array(folder / f"{name}.npy", np.float32) for name in names))
        if not len(index.rates) == len(index.category_rates) == len(index.intervals_s):
            raise ReleaseError(
                f"{folder}/again_rates.npy: does not fit again_category_rates.npy or again_intervals.npy"
            )
        return index

    def __len__(self) -> int:
        return len(self.rates)

    def intensities(self, memory: Memory) -> NDArray[np.float32]:
        """Of the remembered items, [m]."""
        rates = np.maximum(self.rates[memory.rows], LEAST_RATE)
        scores: NDArray[np.float32] = memory.sums.sum(1) * np.sqrt(rates)
        return scores

    def search(self, memory: Memory, k: int, selection: Selection | None = None) -> Hits:
        """The k remembered items that come back soonest."""
        rows, scores = memory.rows, self.intensities(memory)
        if selection is not None:
            kept = selection.mask[rows]
            rows, scores = rows[kept], scores[kept]
        return best(rows, scores, k)

    def score(self, memory: Memory, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """The same for `rows` [n]; 0 where the user did not have the item."""
        scores = self.intensities(memory)
        at = np.minimum(np.searchsorted(memory.rows, rows), len(scores) - 1)
        return np.where(memory.rows[at] == rows, scores[at], np.float32(0.0))


AGAIN_INDEX = IndexFile(
    "again",
    lambda layout, shop: build_again(
        layout.indexes, shop.repeat_rates, shop.category_repeat_rates, shop.repeat_intervals_s
    ),
    lambda layout: AgainIndex.open(layout.indexes),
)


def _search(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Hits:
    groups = indexes.items.groups
    if not groups.present or selection is None:
        return indexes[AGAIN_INDEX].search(query.memory, k, selection)
    hits = indexes[AGAIN_INDEX].search(query.memory, len(query.memory.rows))
    rows = groups.selected(hits.rows, selection.mask)  # another variant of what the user had, where that is gone
    return best(rows[rows >= 0], hits.scores[rows >= 0], k)


def _score(scored: Scored) -> Column:
    return scored.indexes[AGAIN_INDEX].score(scored.query.memory, scored.indexes.items.groups.of_rows(scored.rows))


AGAIN = RecallChannel(AGAIN_INDEX, needs=(MEMORY,), score=_score, search=_search)
