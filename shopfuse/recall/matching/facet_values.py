"""What items have, as a shop lists it beside a search: brands, categories, values of attributes, price ranges; and how
many of a set of rows have each.

The values of one field (the brands, the categories below one, an attribute) lie together, by product group: a group's
entries are neighbours, and counting it once takes no sorting.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.item import CATEGORY_SEPARATOR, CatalogueItem
from shopfuse.recall.arrays import open_array, write_array
from shopfuse.recall.facets import facet_key
from shopfuse.recall.groups import Groups
from shopfuse.recall.visits import spans
from shopfuse.release.manifest import ReleaseError

# A look-up of a group among a field's entries costs as much as reading so many entries.
ENTRIES_PER_LOOK_UP = 16

BRANDS = facet_key("brands of the shop")
Rows = NDArray[np.int32]


def categories_below(path: str) -> int:
    """The field of the categories one level below a path; "" for the departments."""
    return facet_key("categories below", path)


def values_of(attribute: str) -> int:
    """The field of an attribute."""
    return facet_key("values of", attribute)


def fields_of(item: CatalogueItem) -> Iterator[tuple[int, int, str]]:
    """(field, facet key, as it is shown) of all that an item has; may repeat."""
    if item.brand:
        yield BRANDS, facet_key("brand", item.brand), item.brand
    for levels in (item.category, *item.other_categories):
        for depth in range(len(levels)):
            above, path = (CATEGORY_SEPARATOR.join(levels[:end]) for end in (depth, depth + 1))
            yield categories_below(above), facet_key("category", path), path
    for name, value in item.attributes:
        yield values_of(name), facet_key("attribute", name, value), value


@dataclass(frozen=True, slots=True)
class Counts:
    """How many groups have each value of a field, [v]."""

    keys: NDArray[np.uint64]  # the facets' keys
    names: Sequence[str]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FacetValues:
    field_keys: NDArray[np.uint64]  # [fields], ascending
    entry_starts: NDArray[np.int64]  # [fields + 1]
    value_starts: NDArray[np.int64]  # [fields + 1]
    groups: Rows  # [entries], ascending within a field
    values: Rows  # [entries], ascending within a group
    rows: Rows  # [entries]
    value_keys: NDArray[np.uint64]  # [values], within a field in the order of their names
    name_ends: NDArray[np.int64]  # [values]
    names: NDArray[np.uint8]  # UTF-8, one after the other

    @classmethod
    def open(cls, folder: Path) -> FacetValues:
        """Raises ReleaseError naming the file that is missing or does not fit."""
        table = cls(*(open_array(folder / f"{name}.npy", dtype) for name, dtype in FILES.items()))
        fields, values, entries = len(table.field_keys), len(table.value_keys), len(table.rows)
        lengths = {
            "facet_entry_starts": (len(table.entry_starts), fields + 1),
            "facet_value_starts": (len(table.value_starts), fields + 1),
            "facet_entry_groups": (len(table.groups), entries),
            "facet_entry_values": (len(table.values), entries),
            "facet_name_ends": (len(table.name_ends), values),
        }
        for name, (length, expected) in lengths.items():
            if length != expected:
                raise ReleaseError(f"{folder}/{name}.npy: {length} rows, expected {expected}")
        return table

    def count(self, field: int, matched: Matched) -> Counts:
        """The values of a field, each with the number of groups with a matched row that has it."""
        at = int(np.searchsorted(self.field_keys, np.uint64(field)))
        if at == len(self.field_keys) or int(self.field_keys[at]) != field:
            return Counts(self.value_keys[:0], (), np.zeros(0, np.int64))
        entries = slice(int(self.entry_starts[at]), int(self.entry_starts[at + 1]))
        first, last = int(self.value_starts[at]), int(self.value_starts[at + 1])
        counts = np.bincount(self._matched_values(entries, matched) - first, minlength=last - first)
        return Counts(self.value_keys[first:last], Names(self, first, last), counts)

    def _matched_values(self, entries: slice, matched: Matched) -> Rows:
        """The values of the matched entries, each once for each group."""
        groups, values = self.groups[entries], self.values[entries]
        if ENTRIES_PER_LOOK_UP * len(matched.rows) < len(groups):
            starts = np.searchsorted(groups, matched.groups)
            at = spans(starts, np.searchsorted(groups, matched.groups, side="right") - starts)
            at = at[matched.mask[self.rows[entries][at]]] if matched.table.present else at
        else:
            at = np.flatnonzero(matched.mask[self.rows[entries]])
        found = values[at]
        if not matched.table.present or len(found) == 0:
            return found
        of_group = groups[at]
        new = np.ones(len(found), np.bool_)
        new[1:] = (of_group[1:] != of_group[:-1]) | (found[1:] != found[:-1])
        return found[new]


class Matched:
    """Matched rows in the forms in which they are counted; each is made when it is first asked for."""

    def __init__(self, rows: Rows, table: Groups) -> None:
        self.rows, self.table = rows, table  # rows [n], ascending
        self._mask: NDArray[np.bool_] | None = None
        self._groups: Rows | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[items]"""
        if self._mask is None:
            self._mask = np.zeros(len(self.table), np.bool_)
            self._mask[self.rows] = True
        return self._mask

    @property
    def groups(self) -> Rows:
        """Their distinct groups, ascending."""
        if self._groups is None:
            self._groups = np.unique(self.table.code[self.rows]) if self.table.present else self.rows
        return self._groups


class Names(Sequence[str]):
    """The names of the values `first` up to `last`, read where one is asked for."""

    def __init__(self, table: FacetValues, first: int, last: int) -> None:
        self._table, self._first, self._last = table, first, last

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, at: int) -> str:  # type: ignore[override]  # nobody takes slices of it
        value = self._first + at
        start = int(self._table.name_ends[value - 1]) if value else 0
        return self._table.names[start : int(self._table.name_ends[value])].tobytes().decode()


FILES = {
    "facet_field_keys": np.uint64,
    "facet_entry_starts": np.int64,
    "facet_value_starts": np.int64,
    "facet_entry_groups": np.int32,
    "facet_entry_values": np.int32,
    "facet_entry_rows": np.int32,
    "facet_value_keys": np.uint64,
    "facet_name_ends": np.int64,
    "facet_names": np.uint8,
}


def build_facet_values(folder: Path, items: Iterable[CatalogueItem], groups: Groups) -> None:
    """Writes the values of items in row order, each as its first item writes it."""
    known: dict[int, int] = {}  # facet key -> number, in the order of appearance
    names: list[str] = []
    fields, values, rows = array("Q"), array("i"), array("i")
    for row, item in enumerate(items):
        of_item = {key: (field, name) for field, key, name in fields_of(item)}
        for key, (field, name) in of_item.items():
            if (value := known.setdefault(key, len(known))) == len(names):
                fields.append(field)
                names.append(name)
            values.append(value)
            rows.append(row)
    of_field = np.frombuffer(fields, np.uint64)
    folded = np.array([name.casefold() for name in names], object)
    order = np.lexsort((np.argsort(np.argsort(folded, kind="stable")), of_field))
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    value_of, row_of = number[np.frombuffer(values, np.int32)], np.frombuffer(rows, np.int32)
    group = groups.code[row_of]
    field_keys, value_starts = np.unique(of_field[order], return_index=True)
    place = np.searchsorted(value_starts, value_of, side="right")  # of the entry's field, from 1
    entries = np.lexsort((row_of, value_of, group, place))
    starts = np.searchsorted(place[entries], np.arange(1, len(field_keys) + 2))
    encoded = [names[at].encode() for at in order.tolist()]
    columns = (
        *(field_keys, starts, np.append(value_starts, len(order))),
        *(group[entries], value_of[entries], row_of[entries]),
        np.array(list(known), np.uint64)[order],
        np.cumsum([len(name) for name in encoded], dtype=np.int64),
        np.frombuffer(b"".join(encoded), np.uint8),
    )
    for (name, dtype), column in zip(FILES.items(), columns, strict=True):
        write_array(folder / f"{name}.npy", np.asarray(column).astype(dtype))
