"""Product groups: which rows are variants of one product, so that a list shows it once.

A group is named by its lowest row; an item that stands alone is its own group. A shop without groups pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.hits import Hits, best
from shopfuse.recall.selection import Selection
from shopfuse.recall.visits import spans

Rows = NDArray[np.int32]
Search = Callable[[int, Selection | None], Hits]

# One product of many variants can fill a channel. What it found is then left out and the channel asked again.
MOST_SEARCHES = 4
MOST_AT_ONCE = 8  # times k


def group_codes(group_ids: Sequence[str | None]) -> Rows:
    """The group of each row [n], by the ids of the groups; None stands alone."""
    first: dict[str, int] = {}
    codes = [row if name is None else first.setdefault(name, row) for row, name in enumerate(group_ids)]
    return np.array(codes, np.int32)


def write_groups(folder: Path, codes: Rows) -> None:
    write_array(folder / "group.npy", codes)


@dataclass(frozen=True, slots=True)
class Groups:
    code: Rows  # [items], the lowest row of the item's group
    variant_codes: Rows  # [v] of the groups with several variants, ascending
    variant_rows: Rows  # [v], ascending within a group

    @classmethod
    def open(cls, folder: Path) -> Groups:
        return cls.of(open_array(folder / "group.npy", np.int32))

    @classmethod
    def of(cls, code: Rows) -> Groups:
        sizes = np.bincount(code, minlength=len(code))
        rows = np.flatnonzero(sizes[code] > 1).astype(np.int32)
        rows = rows[np.argsort(code[rows], kind="stable")]
        return cls(code, code[rows], rows)

    def __len__(self) -> int:
        return len(self.code)

    @property
    def present(self) -> bool:
        """Whether any product has several variants."""
        return len(self.variant_rows) > 0

    def of_rows(self, rows: Rows) -> Rows:
        """The groups of rows, [n]; -1 where a row is -1."""
        if not self.present:
            return rows
        return np.where(rows >= 0, self.code[rows], np.int32(-1))

    def once(self, rows: Rows) -> NDArray[np.int64]:
        """The places of the first row of each group, ascending."""
        if not self.present:
            return np.arange(len(rows))
        first: NDArray[np.int64] = np.unique(self.code[rows], return_index=True)[1]
        first.sort()
        return first

    def count(self, rows: Rows) -> int:
        """How many groups distinct rows are of."""
        if not self.present:
            return len(rows)
        seen = np.zeros(len(self.code), np.bool_)
        seen[self.code[rows]] = True
        return int(np.count_nonzero(seen))

    def variants(self, rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
        """All variants of the groups of rows [n], and of which of `rows` each is: [v] each. Nothing of an item that
        stands alone."""
        codes = self.code[rows]
        starts = np.searchsorted(self.variant_codes, codes)
        sizes = np.searchsorted(self.variant_codes, codes, side="right") - starts
        return self.variant_rows[spans(starts, sizes)], np.repeat(np.arange(len(rows)), sizes)

    def selected(self, codes: Rows, mask: NDArray[np.bool_]) -> Rows:
        """For each of distinct groups [n] the lowest row that is in `mask` [items]; -1 where none is."""
        rows = np.where(mask[codes], codes, np.int32(-1))
        if not self.present:
            return rows
        out = np.flatnonzero(rows < 0)
        variants, place = self.variants(codes[out])
        inside = mask[variants]
        place, first = np.unique(place[inside], return_index=True)
        rows[out[place]] = variants[inside][first]
        return rows

    def search(self, search: Search, k: int, selection: Selection | None) -> Hits:
        """The best row of each of the k best groups, where `search` gives the best rows of a selection."""
        hits = search(k, selection)
        if not self.present:
            return hits
        found, limit = self._taken(hits), k
        for _ in range(MOST_SEARCHES - 1):
            if len(found) >= k or len(hits) < limit:
                break
            usual = len(hits) / max(len(self.once(hits.rows)), 1)  # rows of a group
            limit = int(min(np.ceil((k - len(found)) * usual), MOST_AT_ONCE * k))
            hits = search(limit, self._without(found.rows, selection))
            more = self._taken(hits)
            found = Hits(np.concatenate([found.rows, more.rows]), np.concatenate([found.scores, more.scores]))
        return best(found.rows, found.scores, k)

    def _taken(self, hits: Hits) -> Hits:
        kept = self.once(hits.rows)
        return Hits(hits.rows[kept], hits.scores[kept])

    def _without(self, rows: Rows, selection: Selection | None) -> Selection:
        mask = np.ones(len(self), np.bool_) if selection is None else selection.mask.copy()
        mask[rows] = False
        mask[self.variants(rows)[0]] = False
        return Selection(mask, None if selection is None else selection.wanted)


NO_GROUPS = Groups.of(np.zeros(0, np.int32))
