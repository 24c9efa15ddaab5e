"""The item table: which row an item id is, and which rows pass a filter.

An item's row is its position among the sorted ids; every index of a release speaks rows. No titles or prices to show:
those live in the feature store.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import text_code
from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CATEGORY_SEPARATOR, CatalogueItem
from shopfuse.ranking.user_state import ID_BYTES
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.facets import FacetTable, FacetWriter, facet_groups, facet_key
from shopfuse.recall.groups import Groups, group_codes, write_groups
from shopfuse.recall.selection import Selection, price_bound
from shopfuse.release.manifest import ReleaseError

NO_ROWS = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class ItemTable:
    ids: NDArray[np.bytes_]  # [items], ascending UTF-8, as wide as the longest
    price: NDArray[np.float32]  # [items], NaN where unknown
    available: NDArray[np.bool_]  # [items]
    brand: NDArray[np.uint64]  # [items], the facet's key, 0 where there is none
    category: NDArray[np.int32]  # [items], text_code of the path, 0 where there is none
    published_at: NDArray[np.float64]  # [items], seconds, NaN where unknown
    groups: Groups
    facets: FacetTable

    @classmethod
    def open(cls, folder: Path) -> ItemTable:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        table = cls(
            open_array(folder / "ids.npy", np.bytes_),
            open_array(folder / "price.npy", np.float32),
            open_array(folder / "available.npy", np.bool_),
            open_array(folder / "brand.npy", np.uint64),
            open_array(folder / "category.npy", np.int32),
            open_array(folder / "published_at.npy", np.float64),
            Groups.open(folder),
            FacetTable.open(folder),
        )
        columns = ("price", "available", "brand", "category", "published_at")
        for name, column in (*((name, getattr(table, name)) for name in columns), ("group", table.groups.code)):
            if len(column) != len(table.ids):
                raise ReleaseError(f"{folder}/{name}.npy: {len(column)} rows, expected {len(table.ids)} as in ids.npy")
        return table

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, item_ids: Sequence[str] | Sequence[bytes] | NDArray[np.bytes_]) -> NDArray[np.int32]:
        """The rows of items, [n]; -1 where an id is unknown."""
        wanted = _id_array(item_ids)
        if len(self.ids) == 0 or len(wanted) == 0:
            return np.full(len(wanted), -1, np.int32)
        # A longer id than any in the table would be cut to a wrong match by the cast below.
        width = self.ids.dtype.itemsize
        fits = wanted.dtype.itemsize <= width or np.char.str_len(wanted) <= width
        wanted = wanted.astype(self.ids.dtype)
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        rows: NDArray[np.int32] = np.where(fits & (self.ids[at] == wanted), at, -1).astype(np.int32)
        return rows

    def item_ids(self, rows: NDArray[np.int32]) -> list[str]:
        """The ids of rows, all of which must be known (>= 0)."""
        return [item_id.decode() for item_id in self.ids[rows].tolist()]

    def made_by(self, brands: Sequence[str], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which rows are of one of the brands, [n]."""
        made: NDArray[np.bool_] = np.isin(self.brand[rows], np.array([_brand_key(name) for name in brands], np.uint64))
        return made

    def select(self, item_filter: ItemFilter, excluded_rows: NDArray[np.int32] = NO_ROWS) -> Selection | None:
        """The rows that pass the filter and are not excluded; None where nothing restricts them."""
        excluded = excluded_rows[excluded_rows >= 0]
        if not _restricts(item_filter) and len(excluded) == 0 and (item_filter.include_unavailable or self._all_in()):
            return None
        mask = np.ones(len(self), np.bool_) if item_filter.include_unavailable else np.array(self.available)
        for keys in facet_groups(item_filter):
            mask = self.facets.any_of(keys, mask)
        if item_filter.min_price is not None:
            mask &= self.price >= price_bound(item_filter.min_price)  # false for NaN
        if item_filter.max_price is not None:
            mask &= self.price <= price_bound(item_filter.max_price)
        mask[excluded] = False
        return Selection(mask, item_filter)

    def _all_in(self) -> bool:
        return bool(self.available.all())


def _brand_key(name: str | None) -> int:
    return facet_key("brand", name) if name else 0


def _restricts(wanted: ItemFilter) -> bool:
    bounds = wanted.min_price is not None or wanted.max_price is not None
    return bounds or bool(wanted.brands or wanted.categories or wanted.attributes)


def _id_array(item_ids: Sequence[str] | Sequence[bytes] | NDArray[np.bytes_]) -> NDArray[Any]:
    if isinstance(item_ids, np.ndarray):
        return item_ids
    encoded = [item_id.encode() if isinstance(item_id, str) else item_id for item_id in item_ids]
    return np.array(encoded, dtype=np.bytes_)


def build_item_table(folder: Path, items: Iterable[CatalogueItem]) -> int:
    """Writes the table of items that come in ascending order of their ids' bytes; gives their number.

    Raises ReleaseError where an id is out of order, repeated, or longer than ID_BYTES.
    """
    ids: list[bytes] = []
    price, available, brand, category, published = array("f"), array("b"), array("Q"), array("i"), array("d")
    groups: list[str | None] = []
    facets = FacetWriter()
    for row, item in enumerate(items):
        item_id = item.item_id.encode()
        if len(item_id) > ID_BYTES or (ids and item_id <= ids[-1]):
            raise ReleaseError(f"item {item.item_id!r}: ids must ascend, be distinct and have at most {ID_BYTES} bytes")
        ids.append(item_id)
        price.append(float("nan") if item.price is None else float(price_bound(item.price)))
        available.append(item.available)
        brand.append(_brand_key(item.brand))
        category.append(text_code(CATEGORY_SEPARATOR.join(item.category)))
        published.append(float("nan") if item.published_at is None else item.published_at)
        groups.append(item.group_id)
        facets.add(row, item)
    write_array(folder / "ids.npy", np.array(ids, np.bytes_))
    write_array(folder / "price.npy", np.frombuffer(price, np.float32))
    write_array(folder / "available.npy", np.frombuffer(available, np.bool_))
    write_array(folder / "brand.npy", np.frombuffer(brand, np.uint64))
    write_array(folder / "category.npy", np.frombuffer(category, np.int32))
    write_array(folder / "published_at.npy", np.frombuffer(published, np.float64))
    write_groups(folder, group_codes(groups))
    facets.write(folder)
    return len(ids)
