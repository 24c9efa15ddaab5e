"""The item table: ids to rows and back, and filters against plain Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopfuse.ranking.filter import NO_FILTER, ItemFilter
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.release.manifest import ReleaseError
from tests.recall.shop import make_items, passes

ITEMS = make_items(400)
EXCLUDED = np.array([3, -1, 17], np.int32)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ItemTable:
    folder = tmp_path_factory.mktemp("items")
    build_item_table(folder, ITEMS)
    return ItemTable.open(folder)


FILTERS = st.builds(
    ItemFilter,
    brands=st.lists(st.sampled_from(("acme", "KIKU", "Nordlicht", "nobody")), max_size=2).map(tuple),
    categories=st.lists(st.sampled_from(("Home", "home > light", "Tech > camera", "Nowhere")), max_size=2).map(tuple),
    attributes=st.lists(
        st.tuples(
            st.sampled_from(("Colour", "size", "Weight")),
            st.lists(st.sampled_from(("red", "S", "L", "12 kg")), min_size=1, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    min_price=st.none() | st.sampled_from((0.0, 10.0, 20.19)),
    max_price=st.none() | st.sampled_from((5.0, 30.0, 1e300)),
    include_unavailable=st.booleans(),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=FILTERS)
def test_select_keeps_the_items_that_pass_every_restriction(table: ItemTable, wanted: ItemFilter) -> None:
    selection = table.select(wanted, EXCLUDED)

    expected = [row for row, item in enumerate(ITEMS) if passes(item, wanted) and row not in EXCLUDED]
    assert selection is not None
    assert selection.rows.tolist() == expected
    assert selection.count == len(expected)


def test_a_price_bound_is_inclusive_for_the_price_that_the_shop_shows(table: ItemTable) -> None:
    row, price = next((row, item.price) for row, item in enumerate(ITEMS) if item.price is not None)
    selection = table.select(ItemFilter(min_price=price, max_price=price, include_unavailable=True))

    assert selection is not None
    assert row in selection.rows


def test_no_restriction_is_no_selection(table: ItemTable, tmp_path: Path) -> None:
    build_item_table(tmp_path, [CatalogueItem("a", "all of this shop"), CatalogueItem("b", "is available")])

    assert table.select(NO_FILTER) is None
    assert table.select(ItemFilter()) is not None
    assert ItemTable.open(tmp_path).select(ItemFilter()) is None


def test_rows_and_ids_are_inverse_and_unknown_ids_have_no_row(table: ItemTable) -> None:
    rows = table.rows(["item-000007", "item-9", "", "item-000007" + "x" * 60, "Ä", "item-000399"])

    assert rows.tolist() == [7, -1, -1, -1, -1, 399]
    assert table.item_ids(rows[[0, 5]]) == ["item-000007", "item-000399"]
    assert table.rows(table.ids[5:8]).tolist() == [5, 6, 7]
    assert table.rows([]).tolist() == []


def test_an_id_is_not_found_by_its_first_64_bytes(tmp_path: Path) -> None:
    longest = "a" * 64
    build_item_table(tmp_path, [CatalogueItem(longest, "")])
    table = ItemTable.open(tmp_path)

    assert table.rows([longest, longest + "a"]).tolist() == [0, -1]


def test_an_empty_catalogue_opens_and_selects_nothing(tmp_path: Path) -> None:
    build_item_table(tmp_path, [])
    table = ItemTable.open(tmp_path)
    selection = table.select(ItemFilter(brands=("acme",)))

    assert len(table) == 0
    assert table.rows(["a"]).tolist() == [-1]
    assert selection is not None
    assert selection.count == 0


@pytest.mark.parametrize("ids", [("b", "a"), ("a", "a"), ("a" * 129,)])
def test_ids_out_of_order_repeated_or_too_long_are_refused(tmp_path: Path, ids: tuple[str, ...]) -> None:
    with pytest.raises(ReleaseError, match=ids[-1]):
        build_item_table(tmp_path, [CatalogueItem(item_id, "") for item_id in ids])


@pytest.mark.parametrize("name", ["ids", "price", "available", "facet_keys", "facet_indptr", "facet_rows"])
@pytest.mark.parametrize("damage", ["missing", "cut", "of another type", "of another length"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    build_item_table(tmp_path, ITEMS[:5])
    path = tmp_path / f"{name}.npy"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        np.save(path, np.zeros(3, np.complex64) if damage == "of another type" else np.load(path)[:-1])

    with pytest.raises(ReleaseError, match=r"\.npy: "):
        ItemTable.open(tmp_path)
