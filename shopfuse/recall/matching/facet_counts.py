"""The counts beside a list: for each asked field how many of the matching items have which value.

A facet is disjunctive: it counts as if the filter had no condition on its own field, so that a second value can be
chosen beside a first. A product group counts once for each value that one of its matching variants has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.filter import ItemFilter
from shopfuse.recall.facets import facet_groups
from shopfuse.recall.item_table import ItemTable
from shopfuse.recall.matching.facet_values import (
    BRANDS,
    Counts,
    FacetValues,
    Matched,
    categories_below,
    values_of,
)
from shopfuse.recall.selection import Selection, price_bound

Field = Literal["brand", "category", "attribute", "price"]
Rows = NDArray[np.int32]
Select = Callable[[ItemFilter], Selection | None]

DEFAULT_LIMIT = 20
CHOSEN_RANGES = 5  # of prices, at most, each with about as many items


@dataclass(frozen=True, slots=True)
class FacetSpec:
    field: Field
    attribute: str = ""
    limit: int = DEFAULT_LIMIT
    price_bounds: tuple[float, ...] = ()  # ascending


@dataclass(frozen=True, slots=True)
class FacetCount:
    name: str  # "" for a range of prices
    count: int
    selected: bool = False
    min_price: float | None = None
    max_price: float | None = None


def without_own(item_filter: ItemFilter, spec: FacetSpec) -> ItemFilter:
    """The filter without its conditions on the spec's field."""
    if spec.field == "brand":
        return replace(item_filter, brands=())
    if spec.field == "category":
        return replace(item_filter, categories=())
    if spec.field == "price":
        return replace(item_filter, min_price=None, max_price=None)
    own = spec.attribute.strip().casefold()
    kept = tuple(condition for condition in item_filter.attributes if condition[0].strip().casefold() != own)
    return replace(item_filter, attributes=kept)


def count_facets(
    values: FacetValues,
    items: ItemTable,
    specs: Sequence[FacetSpec],
    rows: Rows,
    item_filter: ItemFilter,
    select: Select,
) -> list[list[FacetCount]]:
    """The counts of each spec, the most frequent values first, ranges of prices ascending.

    `rows` [n] ascend and match the words; `select` gives what a filter lets pass.
    """
    matched: dict[ItemFilter, Matched] = {}
    counted = []
    for spec in specs:
        reduced = without_own(item_filter, spec)
        if reduced not in matched:
            selection = select(reduced)
            passing = rows if selection is None else rows[selection.mask[rows]]
            matched[reduced] = Matched(passing, items.groups)
        if spec.field == "price":
            counted.append(_price_ranges(items, spec, matched[reduced], item_filter))
        else:
            counted.append(_values(values, spec, matched[reduced], item_filter))
    return counted


def _values(table: FacetValues, spec: FacetSpec, matched: Matched, item_filter: ItemFilter) -> list[FacetCount]:
    chosen = {key for keys in facet_groups(item_filter) for key in keys}
    found = [_most_frequent(table.count(field, matched), spec.limit, chosen) for field in _fields(spec, item_filter)]
    values = [value for part in found for value in part]
    values.sort(key=lambda value: -value.count)
    return [value for place, value in enumerate(values) if place < spec.limit or value.selected]


def _fields(spec: FacetSpec, item_filter: ItemFilter) -> list[int]:
    if spec.field == "brand":
        return [BRANDS]
    if spec.field == "attribute":
        return [values_of(spec.attribute)]
    return list(dict.fromkeys(categories_below(path) for path in item_filter.categories or ("",)))


def _most_frequent(found: Counts, limit: int, chosen: set[int]) -> list[FacetCount]:
    """Values without any match are left out, unless the filter holds them: these stay whatever the limit."""
    held = np.isin(found.keys, np.array(sorted(chosen), np.uint64))
    best_first = np.argsort(-found.counts, kind="stable")[:limit]
    kept = best_first[found.counts[best_first] > 0].tolist()
    kept += [at for at in np.flatnonzero(held).tolist() if at not in kept]
    return [FacetCount(found.names[at], int(found.counts[at]), bool(held[at])) for at in kept]


def _price_ranges(items: ItemTable, spec: FacetSpec, matched: Matched, item_filter: ItemFilter) -> list[FacetCount]:
    """Of items with a known price. Of ranges that are chosen here none is empty."""
    price = items.price[matched.rows]
    known = ~np.isnan(price)
    price, rows = price[known], matched.rows[known]
    bounds = spec.price_bounds or _chosen_bounds(price)
    place = np.searchsorted(np.array([price_bound(bound) for bound in bounds], np.float32), price, side="right")
    if items.groups.present:
        place = np.unique(items.groups.code[rows].astype(np.int64) * (len(bounds) + 1) + place) % (len(bounds) + 1)
    counts = np.bincount(place, minlength=len(bounds) + 1).tolist()
    wanted = (item_filter.min_price, item_filter.max_price)
    ranges = [
        FacetCount("", count, wanted != (None, None) and wanted == (low, high), low, high)
        for (low, high), count in zip(pairwise((None, *bounds, None)), counts, strict=True)
    ]
    return ranges if spec.price_bounds else [one for one in ranges if one.count]


def _chosen_bounds(price: NDArray[np.float32]) -> tuple[float, ...]:
    """Round numbers near the prices that part the items into CHOSEN_RANGES of equal size."""
    if len(price) == 0:
        return ()
    shares = np.quantile(price, np.arange(1, CHOSEN_RANGES) / CHOSEN_RANGES)
    return tuple(sorted({_rounded(float(share)) for share in shares if share > 0}))


def _rounded(price: float) -> float:
    """To a half of its first digit's unit: 1.5, 20, 350."""
    half = 10.0 ** np.floor(np.log10(price)) / 2
    return float(np.round(np.round(price / half) * half, 6))
