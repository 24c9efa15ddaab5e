"""The popularity channel: items in the order of recent engagement, which is also the channel for unknown users.

Items without any come last, in the order that a shop shows them on its first day.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.hits import NO_HITS, Hits, best
from shopfuse.recall.indexes import IndexFile, RecallChannel
from shopfuse.recall.selection import Selection
from shopfuse.release.manifest import ReleaseError

FIRST_WALK = 4096


def build_popular(folder: Path, scores: NDArray[np.float32]) -> None:
    """Writes the index of `scores` [items], 0..1; items of equal score keep the order of their rows."""
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    write_array(folder / "popular_rows.npy", order)
    write_array(folder / "popular_scores.npy", scores[order].astype(np.float32))
    write_array(folder / "popular_by_row.npy", scores.astype(np.float32))


@dataclass(frozen=True, slots=True)
class PopularIndex:
    ranked_rows: NDArray[np.int32]  # [items], most popular first
    ranked_scores: NDArray[np.float32]  # [items]
    by_row: NDArray[np.float32]  # [items]

    @classmethod
    def open(cls, folder: Path) -> PopularIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        rows = open_array(folder / "popular_rows.npy", np.int32)
        scores = open_array(folder / "popular_scores.npy", np.float32)
        by_row = open_array(folder / "popular_by_row.npy", np.float32)
        if not len(rows) == len(scores) == len(by_row):
            raise ReleaseError(f"{folder}/popular_rows.npy: does not fit popular_scores.npy and popular_by_row.npy")
        return cls(rows, scores, by_row)

    def __len__(self) -> int:
        return len(self.by_row)

    def search(self, k: int, selection: Selection | None = None) -> Hits:
        if selection is None:
            return Hits(self.ranked_rows[: max(k, 0)], self.ranked_scores[: max(k, 0)])
        if selection.count == 0 or k <= 0:
            return NO_HITS
        # A walk down the ranking looks at about k * items / selected rows; sorting looks at the selected ones.
        if k * len(selection) >= selection.count * selection.count:
            return best(selection.rows, self.by_row[selection.rows], k)
        return self._walk(k, selection)

    def _walk(self, k: int, selection: Selection) -> Hits:
        looked_at, at = FIRST_WALK, np.zeros(0, np.int64)
        while True:
            at = np.flatnonzero(selection.mask[self.ranked_rows[:looked_at]])[:k]
            if len(at) == k or looked_at >= len(self.ranked_rows):
                return Hits(self.ranked_rows[at], self.ranked_scores[at])
            looked_at *= 4

    def score(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """The popularity of known rows, [n]."""
        return self.by_row[rows]


POPULAR_INDEX = IndexFile(
    "popular",
    lambda layout, shop: build_popular(layout.indexes, shop.popular),
    lambda layout: PopularIndex.open(layout.indexes),
)
POPULAR = RecallChannel(
    POPULAR_INDEX,
    needs=(),
    score=lambda scored: scored.indexes[POPULAR_INDEX].score(scored.rows),
    search=lambda indexes, _, k, selection: indexes[POPULAR_INDEX].search(k, selection),
)
