"""Facets against plain Python over a random shop, with and without product groups."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.recall.matching.facet_counts import FacetCount, FacetSpec, count_facets, without_own
from shopfuse.recall.matching.facet_values import FacetValues, build_facet_values
from tests.recall.shop import make_items, passes
from tests.recall.test_item_table import FILTERS

PLAIN = make_items(300)
VARIANTS = [
    replace(item, group_id=f"group {row % 97}" if row % 3 else None) for row, item in enumerate(make_items(300, 1))
]
SPECS = st.one_of(
    st.builds(FacetSpec, field=st.just("brand"), limit=st.sampled_from((1, 2, 20))),
    st.builds(FacetSpec, field=st.just("category"), limit=st.sampled_from((1, 20))),
    st.builds(FacetSpec, field=st.just("attribute"), attribute=st.sampled_from(("colour", "SIZE", "Weight"))),
    st.builds(FacetSpec, field=st.just("price"), price_bounds=st.sampled_from(((), (10.0, 20.0), (5.0,)))),
)
Shop = tuple[list[CatalogueItem], ItemTable, FacetValues]


@pytest.fixture(scope="module", params=["every item a product", "variants"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    items, folder = PLAIN if request.param != "variants" else VARIANTS, tmp_path_factory.mktemp("items")
    build_item_table(folder, items)
    table = ItemTable.open(folder)
    build_facet_values(folder, items, table.groups)
    return items, table, FacetValues.open(folder)


def has(item: CatalogueItem, spec: FacetSpec, wanted: ItemFilter) -> set[str]:
    """The values of an item that a facet counts, as they are compared."""
    if spec.field == "brand":
        return {item.brand.casefold()} if item.brand else set()
    if spec.field == "attribute":
        return {value.casefold() for name, value in item.attributes if name.casefold() == spec.attribute.casefold()}
    parents = {path.casefold() for path in wanted.categories} or {""}
    found = set()
    for levels in (item.category, *item.other_categories):
        paths = [" > ".join(levels[:depth]) for depth in range(len(levels) + 1)]
        found |= {below.casefold() for above, below in pairwise(paths) if above.casefold() in parents}
    return found


def expected(items: list[CatalogueItem], spec: FacetSpec, rows: list[int], wanted: ItemFilter) -> dict[str, int]:
    groups = defaultdict(set)
    for row in rows:
        item = items[row]
        if passes(item, without_own(wanted, spec)):
            for value in has(item, spec, wanted):
                groups[value].add(item.group_id or row)
    return {value: len(found) for value, found in groups.items()}


def expected_prices(items: list[CatalogueItem], spec: FacetSpec, rows: list[int], wanted: ItemFilter) -> list[int]:
    edges = [-1.0, *spec.price_bounds, np.inf]
    groups: list[set[object]] = [set() for _ in edges[1:]]
    for row in rows:
        item = items[row]
        if item.price is not None and passes(item, without_own(wanted, spec)):
            groups[int(np.searchsorted(edges, item.price, side="right")) - 1].add(item.group_id or row)
    return [len(found) for found in groups]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=FILTERS, specs=st.lists(SPECS, min_size=1, max_size=4), seed=st.integers(0, 9), few=st.booleans())
def test_counts_are_those_of_plain_python(
    shop: Shop, wanted: ItemFilter, specs: list[FacetSpec], seed: int, few: bool
) -> None:
    items, table, values = shop
    chosen = np.random.default_rng(seed).random(len(items)) < (0.03 if few else 0.7)
    rows = np.flatnonzero(chosen).astype(np.int32)
    counted = count_facets(values, table, specs, rows, wanted, table.select)

    for spec, found in zip(specs, counted, strict=True):
        if spec.field == "price":
            _check_prices(items, spec, found, rows.tolist(), wanted)
        else:
            _check_values(spec, found, expected(items, spec, rows.tolist(), wanted), wanted)


def _check_values(spec: FacetSpec, found: list[FacetCount], truth: dict[str, int], wanted: ItemFilter) -> None:
    counts = {value.name.casefold(): value.count for value in found}
    in_order = [value.count for value in found]
    assert len(counts) == len(found) and counts == {name: truth.get(name, 0) for name in counts}
    assert in_order == sorted(in_order, reverse=True)
    assert [count for count in in_order[: spec.limit] if count] == sorted(truth.values(), reverse=True)[: spec.limit]
    assert all(value.selected for value in found[spec.limit :])


def _check_prices(
    items: list[CatalogueItem], spec: FacetSpec, found: list[FacetCount], rows: list[int], wanted: ItemFilter
) -> None:
    if spec.price_bounds:
        assert [value.count for value in found] == expected_prices(items, spec, rows, wanted)
        assert [value.min_price for value in found] == [None, *spec.price_bounds]
        assert [value.max_price for value in found] == [*spec.price_bounds, None]
    elif found:
        bounds = tuple(value.min_price for value in found if value.min_price is not None)
        in_bounds = replace(spec, price_bounds=tuple(sorted({*bounds, *(v.max_price for v in found if v.max_price)})))
        truth = [count for count in expected_prices(items, in_bounds, rows, wanted) if count]
        assert [value.count for value in found] == truth and all(value.count for value in found)


def test_the_filters_own_values_are_marked_and_stay_beyond_the_limit(shop: Shop) -> None:
    _, table, values = shop
    wanted = ItemFilter(brands=("kiku",), include_unavailable=True)
    rows = np.arange(len(table), dtype=np.int32)
    [found] = count_facets(values, table, [FacetSpec("brand", limit=1)], rows, wanted, table.select)

    assert {value.name for value in found if value.selected} == {"Kiku"}
    assert len(found) == (1 if found[0].selected else 2)


def test_no_match_is_no_value(shop: Shop) -> None:
    _, table, values = shop
    specs = [FacetSpec("brand"), FacetSpec("price"), FacetSpec("attribute", "colour")]

    assert count_facets(values, table, specs, np.zeros(0, np.int32), ItemFilter(), table.select) == [[], [], []]
