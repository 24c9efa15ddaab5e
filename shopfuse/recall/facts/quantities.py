"""Quantities of the titles, to compare with those of a query: 18 V agrees with 18 volt and contradicts 12 V."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, Scored
from shopfuse.recall.query import WORDS
from shopfuse.recall.words.units import KINDS, quantities, same
from shopfuse.release.manifest import ReleaseError

KIND_CODE = {kind: code for code, kind in enumerate(KINDS)}
REMEMBERED = 4096

asked = lru_cache(REMEMBERED)(quantities)


@dataclass(frozen=True, slots=True)
class QuantityIndex:
    indptr: NDArray[np.int64]  # [items + 1], where the quantities of each item begin below
    kinds: NDArray[np.uint8]  # codes of KINDS
    values: NDArray[np.float32]

    @classmethod
    def open(cls, folder: Path) -> QuantityIndex:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        index = cls(
            open_array(folder / "indptr.npy", np.int64),
            open_array(folder / "kinds.npy", np.uint8),
            open_array(folder / "values.npy", np.float32),
        )
        if len(index.indptr) == 0 or not index.indptr[-1] == len(index.kinds) == len(index.values):
            raise ReleaseError(f"{folder}/indptr.npy: does not fit kinds.npy and values.npy")
        return index

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def score(self, query: str, rows: NDArray[np.int32]) -> Column | None:
        """1 for rows whose titles agree with the query's quantities, 0 for those that contradict one by another value
        of the same kind, NaN for those that say nothing of them: [n]. None where the query has none."""
        wanted = asked(query)
        if not wanted:
            return None
        starts, ends = self.indptr[rows], self.indptr[rows.astype(np.int64) + 1]
        of = np.repeat(np.arange(len(rows)), ends - starts)  # the row of each entry below
        entries = np.arange(len(of)) + np.repeat(
            starts - np.concatenate([[0], np.cumsum(ends - starts)[:-1]]), ends - starts
        )
        kinds, values = self.kinds[entries], self.values[entries].astype(np.float64)
        agrees, contradicts = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for quantity in wanted:
            of_kind = kinds == KIND_CODE[quantity.kind]
            states = np.bincount(of[of_kind], minlength=len(rows)) > 0
            held = np.bincount(of[of_kind & same(quantity, values)], minlength=len(rows)) > 0
            agrees |= held
            contradicts |= states & ~held
        return np.where(contradicts, 0.0, np.where(agrees, 1.0, np.nan)).astype(np.float32)


def build_quantities(folder: Path, items: Iterable[CatalogueItem]) -> None:
    """Writes the index of items in row order."""
    indptr, kinds, values = array("q", [0]), array("B"), array("f")
    for item in items:
        stated = quantities(item.title)
        kinds.extend(KIND_CODE[quantity.kind] for quantity in stated)
        values.extend(quantity.value for quantity in stated)
        indptr.append(len(kinds))
    write_array(folder / "indptr.npy", np.frombuffer(indptr, np.int64))
    write_array(folder / "kinds.npy", np.frombuffer(kinds, np.uint8))
    write_array(folder / "values.npy", np.frombuffer(values, np.float32))


QUANTITY_INDEX = IndexFile(
    "quantities",
    lambda layout, shop: build_quantities(layout.quantities, shop.items()),
    lambda layout: QuantityIndex.open(layout.quantities),
)


def _score(scored: Scored) -> Column | None:
    return scored.indexes[QUANTITY_INDEX].score(scored.query.query, scored.rows)


QUANTITY = RecallChannel(QUANTITY_INDEX, needs=(WORDS,), score=_score)
