"""Facets: brand, category prefixes and attribute values as 64-bit keys, each with the sorted rows that carry it.

Keys are hashes of case-folded names: the table is mapped, not parsed, whatever the number of distinct values.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CATEGORY_SEPARATOR, CatalogueItem
from shopfuse.recall.arrays import key_span, open_array, write_array
from shopfuse.release.manifest import ReleaseError


@lru_cache(maxsize=65536)
def facet_key(*parts: str) -> int:
    """The key of e.g. ("brand", "Canon"); 64 bits, so that chance collisions need billions of names."""
    name = "\x1f".join(part.strip().casefold() for part in parts)
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def item_facets(item: CatalogueItem) -> Iterator[int]:
    """The keys of one item; may repeat."""
    if item.brand:
        yield facet_key("brand", item.brand)
    for path in (item.category, *item.other_categories):
        for depth in range(1, len(path) + 1):
            yield facet_key("category", CATEGORY_SEPARATOR.join(path[:depth]))
    for name, value in item.attributes:
        yield facet_key("attribute", name, value)


def facet_groups(wanted: ItemFilter) -> list[list[int]]:
    """Groups of keys; an item passes with at least one key of every group."""
    groups = [[facet_key("brand", brand) for brand in wanted.brands]] if wanted.brands else []
    groups += [[facet_key("category", path) for path in wanted.categories]] if wanted.categories else []
    groups += [[facet_key("attribute", name, value) for value in values] for name, values in wanted.attributes]
    return groups


@dataclass(frozen=True, slots=True)
class FacetTable:
    keys: NDArray[np.uint64]  # [facets], ascending
    indptr: NDArray[np.int64]  # [facets + 1]
    facet_rows: NDArray[np.int32]  # rows ascend within a facet

    @classmethod
    def open(cls, folder: Path) -> FacetTable:
        keys = open_array(folder / "facet_keys.npy", np.uint64)
        indptr = open_array(folder / "facet_indptr.npy", np.int64)
        rows = open_array(folder / "facet_rows.npy", np.int32)
        if len(indptr) != len(keys) + 1 or indptr[-1] != len(rows):
            raise ReleaseError(f"{folder}/facet_indptr.npy: does not fit facet_keys.npy and facet_rows.npy")
        return cls(keys, indptr, rows)

    def rows(self, key: int) -> NDArray[np.int32]:
        """The rows that carry the facet; empty where no item does."""
        return self.facet_rows[key_span(self.keys, self.indptr, key)]

    def any_of(self, keys: Iterable[int], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The rows of `mask` that carry at least one of the facets."""
        kept = np.zeros_like(mask)
        for key in keys:
            rows = self.rows(key)
            kept[rows] = mask[rows]
        return kept


class FacetWriter:
    """Collects the facets of items in row order; `write` sorts them into a table."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._rows = array("i")

    def add(self, row: int, item: CatalogueItem) -> None:
        for key in set(item_facets(item)):
            self._keys.append(key)
            self._rows.append(row)

    def write(self, folder: Path) -> None:
        keys = np.frombuffer(self._keys, np.uint64)
        order = np.argsort(keys, kind="stable")
        distinct, starts = np.unique(keys[order], return_index=True)
        write_array(folder / "facet_keys.npy", distinct)
        write_array(folder / "facet_indptr.npy", np.append(starts, len(keys)).astype(np.int64))
        write_array(folder / "facet_rows.npy", np.frombuffer(self._rows, np.int32)[order])
