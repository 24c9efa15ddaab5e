"""The channel of what the user had before: an item comes back the sooner the more often and the more lately it did.

The score is the intensity of a self-exciting process (Hawkes, 1971): every occasion raises it, and what it raised fades
by several half-lives at once, so that a habit of years outlasts a week away. It is weighed by the square root of the
share of users who come back to the item at all. That an item was just bought does not lower it: over 2,441 households a
factor for being due cost a fifth of the NDCG@10 that the intensity reaches. Whether the user wants it back already is
the policy's question.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.repeats import Memory, sums_at
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.hits import Hits, best
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, RecallIndexes, Scored
from shopfuse.recall.query import MEMORY, RecallQuery
from shopfuse.recall.selection import Selection

LEAST_RATE = 0.01  # where nobody comes back the intensity alone decides


def build_again(folder: Path, repeat_rates: NDArray[np.float32]) -> None:
    """Writes the index of the items' repeat rates [items]."""
    write_array(folder / "again_rates.npy", repeat_rates.astype(np.float32))


@dataclass(frozen=True, slots=True)
class AgainIndex:
    repeat_rates: NDArray[np.float32]  # [items]

    @classmethod
    def open(cls, folder: Path) -> AgainIndex:
        """Raises ReleaseError naming the file that is missing or damaged."""
        return cls(open_array(folder / "again_rates.npy", np.float32))

    def __len__(self) -> int:
        return len(self.repeat_rates)

    def intensities(self, memory: Memory) -> NDArray[np.float32]:
        """Of the remembered items, [m]."""
        rates = np.maximum(self.repeat_rates[memory.rows], LEAST_RATE)
        scores: NDArray[np.float32] = sums_at(memory.repeats, memory.at).sum(1) * np.sqrt(rates)
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
    lambda layout, shop: build_again(layout.indexes, shop.repeat_rates),
    lambda layout: AgainIndex.open(layout.indexes),
)


def _search(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Hits:
    return indexes[AGAIN_INDEX].search(query.memory, k, selection)


def _score(scored: Scored) -> Column:
    return scored.indexes[AGAIN_INDEX].score(scored.query.memory, scored.rows)


AGAIN = RecallChannel(AGAIN_INDEX, needs=(MEMORY,), score=_score, search=_search)
