"""What stands beside and around a search's list: how many match, facets, and other orders than relevance."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from shopfuse.recall.groups import Groups, write_groups
from shopfuse.recall.matching.facet_values import build_facet_values
from shopfuse.v1 import item_pb2, search_pb2
from shopfuse.v1.search_pb2 import FacetSpec, SearchRequest
from tests.gateway.answers import degradations, ids, refused
from tests.gateway.release_edits import layout_of, sign_files
from tests.gateway.releases.test_pages import walk
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import catalogue

GREEN = item_pb2.ItemFilter(attributes=[item_pb2.AttributeCondition(name="colour", values=["green"])])
SOLD = [item for item in catalogue() if item.available]
SHOES = [item for item in SOLD if "shoes" in item.title]
ASCENDING, DESCENDING = search_pb2.SORT_ORDER_PRICE_ASCENDING, search_pb2.SORT_ORDER_PRICE_DESCENDING
COLOUR = FacetSpec(field=search_pb2.FACET_FIELD_ATTRIBUTE, attribute="Colour")
BRAND = FacetSpec(field=search_pb2.FACET_FIELD_BRAND)
CATEGORY = FacetSpec(field=search_pb2.FACET_FIELD_CATEGORY)
PRICE = FacetSpec(field=search_pb2.FACET_FIELD_PRICE, price_bounds=[20, 40])


def counts(facet: search_pb2.Facet) -> dict[str, int]:
    return {value.value: value.count for value in facet.values}


async def test_total_size_counts_what_holds_all_words_and_passes_the_filter(serve: Serve) -> None:
    async with serve() as shop:
        shoes = await shop.search(SearchRequest(query="shoes", page_size=3))
        red = await shop.search(SearchRequest(query="red shoes"))
        green = await shop.search(SearchRequest(query="shoes", filter=GREEN))
        unlike = await shop.search(SearchRequest(query="shoes zeppelins"))  # a word that no item holds

    assert shoes.total_size == unlike.total_size == len(SHOES)
    assert red.total_size == sum("red" in item.title for item in SHOES)
    assert green.total_size == sum("green" in item.title for item in SHOES)
    assert len(red.items) > red.total_size  # others match in meaning


async def test_an_item_that_only_its_number_finds_is_counted(serve: Serve) -> None:
    code = SHOES[0].item_id.replace("-", "").replace("_", "")
    async with serve() as shop:
        solid = await shop.search(SearchRequest(query=code, facet_specs=[BRAND]))
        among = await shop.search(SearchRequest(query=f"{SHOES[0].item_id} zeppelins"))
        elsewhere = await shop.search(SearchRequest(query=code, exclude_item_ids=[SHOES[0].item_id]))

    assert ids(solid)[0] == ids(among)[0] == SHOES[0].item_id
    assert solid.total_size == sum(counts(solid.facets[0]).values()) == among.total_size == 1
    assert elsewhere.total_size == 0


async def test_words_are_relaxed_by_what_the_filter_lets_pass(serve: Serve) -> None:
    """Red shoes are sold, but no green ones are red: the list is of green shoes, and so is the count."""
    async with serve() as shop:
        red_green = await shop.search(SearchRequest(query="red shoes", filter=GREEN))
        nothing = item_pb2.ItemFilter(brands=["no such brand"])
        beyond = await shop.search(SearchRequest(query="red shoes", filter=nothing, facet_specs=[BRAND]))

    assert list(red_green.query_interpretation.relaxed_words) == ["red"]
    assert red_green.total_size == sum("green" in item.title for item in SHOES)
    assert beyond.total_size == 0
    assert counts(beyond.facets[0])["Acme"] > 0  # what another brand would give


async def test_excluded_items_are_not_counted(serve: Serve) -> None:
    gone = [SHOES[0].item_id, SHOES[1].item_id]
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="shoes", facet_specs=[BRAND], exclude_item_ids=gone))

    assert response.total_size == sum(counts(response.facets[0]).values()) == len(SHOES) - 2


async def test_facets_come_in_the_order_of_their_specs_and_only_when_asked(serve: Serve) -> None:
    async with serve() as shop:
        plain = await shop.search(SearchRequest(query="shoes"))
        response = await shop.search(SearchRequest(query="shoes", facet_specs=[PRICE, CATEGORY, COLOUR, BRAND]))
        timed = shop.metric("shopfuse_stage_duration_seconds_count", stage="facets")
    price, category, colour, brand = response.facets

    assert not plain.facets and timed == 1.0
    assert [value.count for value in price.values] == [
        sum(low <= (item.price or 0) < high for item in SHOES) for low, high in ((0, 20), (20, 40), (40, 99))
    ]
    assert not price.values[0].HasField("min_price") and price.values[0].max_price == 20
    assert counts(category) == {"Shop": len(SHOES)}
    assert counts(colour) == {name: sum(name in item.title for item in SHOES) for name in ("red", "blue", "green")}
    assert counts(brand) == {"Acme": len(SHOES)} and colour.attribute == "Colour"


async def test_a_facet_ignores_the_filter_on_its_own_field_alone(serve: Serve) -> None:
    below = replace_categories(GREEN, "Shop")
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="shoes", filter=below, facet_specs=[COLOUR, BRAND, CATEGORY]))
    colour, brand, category = response.facets

    assert counts(colour) == {name: sum(name in item.title for item in SHOES) for name in ("red", "blue", "green")}
    assert [value.value for value in colour.values if value.selected] == ["green"]
    assert counts(brand) == {"Acme": response.total_size}
    assert counts(category) == {"Shop > shoes": response.total_size}


def replace_categories(item_filter: item_pb2.ItemFilter, *paths: str) -> item_pb2.ItemFilter:
    changed = item_pb2.ItemFilter()
    changed.CopyFrom(item_filter)
    changed.categories.extend(paths)
    return changed


async def test_facets_that_are_late_are_done_without(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr("shopfuse_gateway.pipeline.facets.count_facets", lambda *_: released.wait(20.0) and [])
    async with serve(deadline_s=1.0) as shop:
        try:
            response = await shop.search(SearchRequest(query="shoes", facet_specs=[BRAND]))
        finally:
            released.set()

    assert degradations(response) == {("facets", "FACETS_LATE")}
    assert response.items and [len(facet.values) for facet in response.facets] == [0]


async def test_matches_that_fail_leave_the_list(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as shop:
        monkeypatch.setattr("shopfuse_gateway.pipeline.recall.match", lambda *_: 1 / 0)
        response = await shop.search(SearchRequest(query="shoes", facet_specs=[BRAND], sort_order=ASCENDING))

    assert degradations(response) == {("recall", "MATCHES_FAILED"), ("facets", "NO_MATCHES")}
    prices = [item.price for item in response.items]
    assert prices and prices == sorted(prices)  # of what the channels found


async def test_a_query_without_letters_has_empty_facets(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="!?", facet_specs=[BRAND, PRICE]))

    assert response.total_size == 0 and [facet.field for facet in response.facets] == [BRAND.field, PRICE.field]


async def test_bounds_that_do_not_ascend_are_refused(serve: Serve) -> None:
    spec = FacetSpec(field=search_pb2.FACET_FIELD_PRICE, price_bounds=[20, 20])
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query="shoes", facet_specs=[BRAND, spec])))

    assert refusal.fields == ("facet_specs[1].price_bounds",)


@pytest.mark.parametrize("size", [4, 100])
async def test_a_sorted_list_is_all_that_matches_in_order_over_its_pages(serve: Serve, size: int) -> None:
    async with serve(per_channel=2) as shop:  # the channels alone would bring a few
        up = await walk(shop.search, SearchRequest(query="shoes", user_id="ann", page_size=size, sort_order=ASCENDING))
        down = await walk(shop.search, SearchRequest(query="shoes", page_size=size, sort_order=DESCENDING))
    cheapest = [item.item_id for item in sorted(SHOES, key=lambda item: item.price or 0.0)]

    assert [item.item_id for page in up for item in page.items] == cheapest
    assert [item.item_id for page in down for item in page.items] == cheapest[::-1]
    assert {page.total_size for page in up} == {len(SHOES)}


async def test_the_unknown_comes_last_in_either_direction_and_ties_are_by_relevance(serve: Serve, copied: Path) -> None:
    table = layout_of(copied, "r1").items / "price.npy"
    price = np.load(table)
    shoes = np.array([int(item.item_id[-3:]) for item in SHOES])
    price[shoes] = 5.0
    price[shoes[:2]] = np.nan
    price[shoes[2]] = 7.0
    np.save(table, price)
    sign_files(copied, "r1", table)
    async with serve() as shop:
        up = await shop.search(SearchRequest(query="shoes", sort_order=ASCENDING))
        down = await shop.search(SearchRequest(query="shoes", sort_order=DESCENDING))
    equal, unknown = [item.item_id for item in SHOES[3:]], {item.item_id for item in SHOES[:2]}

    assert ids(up)[:-3] == equal[::-1] and ids(up)[-3] == SHOES[2].item_id  # the fake ranker prefers dear items
    assert ids(down)[0] == SHOES[2].item_id and ids(down)[1:-2] == equal[::-1]
    assert set(ids(up)[-2:]) == set(ids(down)[-2:]) == unknown


async def test_newest_and_popular_first(serve: Serve, copied: Path) -> None:
    table = layout_of(copied, "r1").items / "published_at.npy"
    published = np.full(60, np.nan)
    published[[8, 20]] = 100.0, 200.0
    np.save(table, published)
    sign_files(copied, "r1", table)
    async with serve() as shop:
        newest = await shop.search(SearchRequest(query="shoes", sort_order=search_pb2.SORT_ORDER_NEWEST))
        popular = await shop.search(SearchRequest(query="shoes", sort_order=search_pb2.SORT_ORDER_POPULARITY))

    assert ids(newest)[:2] == ["item-020", "item-008"] and len(ids(newest)) == len(SHOES)
    assert ids(popular) == [item.item_id for item in SHOES]  # popularity falls with the number


async def test_one_of_a_sorted_group_is_shown_by_its_first_variant(serve: Serve, copied: Path) -> None:
    codes = np.arange(60, dtype=np.int32)
    codes[[8, 20, 32]] = 8
    layout = layout_of(copied, "r1")
    write_groups(layout.items, codes)
    build_facet_values(layout.matching, catalogue(), Groups.of(codes))
    sign_files(copied, "r1", layout.items / "group.npy", *layout.matching.iterdir())
    async with serve() as shop:
        up = await shop.search(SearchRequest(query="shoes", sort_order=ASCENDING))
        down = await shop.search(SearchRequest(query="shoes", sort_order=DESCENDING, facet_specs=[BRAND]))

    assert "item-008" in ids(up) and not {"item-020", "item-032"} & set(ids(up))
    assert "item-032" in ids(down) and not {"item-008", "item-020"} & set(ids(down))
    assert up.total_size == down.total_size == counts(down.facets[0])["Acme"] == len(SHOES) - 2
    assert {variant.item_id for item in up.items for variant in item.variants} == {"item-020", "item-032"}
