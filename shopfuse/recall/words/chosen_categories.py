"""The categories that shoppers chose from after a query: the query-to-category prior, where enough asked it.

Queries of the same words are one query, whatever their order, spelling and number. What was shown is not looked at:
items that are shown first are chosen more, but of a category many are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.arrays import key_span, open_array, write_array
from shopfuse.recall.words.query_reading import NO_WORDS
from shopfuse.release.manifest import ReleaseError

Floats = NDArray[np.float32]

# (what was asked: ReadQuery.key [n], the row of the item that was chosen [n])
Choices = tuple[NDArray[np.uint64], NDArray[np.int32]]
NO_CHOICES: Choices = (np.zeros(0, np.uint64), np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True)
class ChosenCategories:
    keys: NDArray[np.uint64]  # [queries], ascending; see ReadQuery.key
    indptr: NDArray[np.int64]  # [queries + 1], where the choices of each query begin below
    categories: NDArray[np.int32]  # rows of the CategoryIndex, ascending for each query
    counts: NDArray[np.int32]  # how often an item of that category was chosen

    @classmethod
    def open(cls, folder: Path) -> ChosenCategories:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        chosen = cls(
            open_array(folder / "chosen_keys.npy", np.uint64),
            open_array(folder / "chosen_indptr.npy", np.int64),
            open_array(folder / "chosen_categories.npy", np.int32),
            open_array(folder / "chosen_counts.npy", np.int32),
        )
        if len(chosen.indptr) != len(chosen.keys) + 1 or chosen.indptr[-1] != len(chosen.categories):
            raise ReleaseError(f"{folder}/chosen_indptr.npy: does not fit chosen_keys.npy and chosen_categories.npy")
        if len(chosen.counts) != len(chosen.categories):
            raise ReleaseError(f"{folder}/chosen_counts.npy: {len(chosen.counts)}, expected {len(chosen.categories)}")
        return chosen

    def was_asked(self, key: int) -> bool:
        """Whether shoppers asked a query and went on to an item of some category."""
        return key != NO_WORDS and key_span(self.keys, self.indptr, key) != slice(0, 0)

    def after(self, key: int, categories: NDArray[np.int32]) -> tuple[Floats, int]:
        """How often shoppers chose from `categories` after a query, as shares of the most chosen category's, [n], and
        how many choices there were."""
        shares = np.zeros(len(categories), np.float32)
        entries = key_span(self.keys, self.indptr, key)
        known, counts = self.categories[entries], self.counts[entries]
        if key == NO_WORDS or len(known) == 0:
            return shares, 0
        at = np.minimum(np.searchsorted(known, categories), len(known) - 1)
        shares[:] = np.where(known[at] == categories, counts[at] / counts.max(), 0.0)
        return shares, int(counts.sum())


NOTHING_CHOSEN = ChosenCategories(
    np.zeros(0, np.uint64), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32)
)


def build_chosen_categories(folder: Path, choices: Choices, categories: NDArray[np.int32]) -> None:
    """Writes the index of `choices`, given each item's category, a row of the CategoryIndex or below 0: [items]."""
    keys, rows = choices
    chosen = categories[rows]
    known = (keys != NO_WORDS) & (chosen >= 0)
    pairs = np.stack([keys[known], chosen[known].astype(np.uint64)], axis=1)
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    kept, starts = np.unique(distinct[:, 0], return_index=True)
    write_array(folder / "chosen_keys.npy", kept)
    write_array(folder / "chosen_indptr.npy", np.append(starts, len(distinct)).astype(np.int64))
    write_array(folder / "chosen_categories.npy", distinct[:, 1].astype(np.int32))
    write_array(folder / "chosen_counts.npy", counts.astype(np.int32))
