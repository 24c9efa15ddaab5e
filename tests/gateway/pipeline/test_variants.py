"""Product groups: a list shows a product once, by the variant that fits best, with the others beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shopfuse.recall.groups import group_codes, write_groups
from shopfuse.recall.item_table import build_item_table
from shopfuse.v1 import item_pb2
from shopfuse.v1.recommendation_pb2 import RankItemsRequest, RecommendRequest, RecommendSimilarItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.answers import ids
from tests.gateway.release_edits import layout_of, sign_files
from tests.gateway.releases.test_pages import walk
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import catalogue, write_store

SHOES = [f"item-{i:03d}" for i in range(0, 60, 4)]  # one product in fifteen variants
LAMPS = [f"item-{i:03d}" for i in range(1, 60, 4)]  # each a product of its own
BY_COLOUR = item_pb2.ItemFilter(attributes=[item_pb2.AttributeCondition(name="colour", values=["red"])])


@pytest.fixture
def grouped(copied: Path) -> Path:
    items = [replace(item, group_id="kestrel" if item.item_id in SHOES else None) for item in catalogue()]
    layout = layout_of(copied, "r1")
    write_groups(layout.items, group_codes([item.group_id for item in items]))
    sign_files(copied, "r1", layout.items / "group.npy")
    (copied / "state" / "store.lmdb").unlink()
    write_store(copied / "state" / "store.lmdb", items)
    return copied


async def test_a_search_shows_a_product_once_with_its_other_variants(serve: Serve, grouped: Path) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="red shoes", page_size=100))
    shown = [item for item in response.items if item.group_id]
    shoe = shown[0]

    assert len(shown) == 1 and len(response.items) == 59 - len(SHOES) + 1
    assert {shoe.item_id, *(variant.item_id for variant in shoe.variants)} == set(SHOES)
    assert shoe.group_id == "kestrel" and not any(item.variants for item in response.items if item is not shoe)
    assert (shoe.variants[0].title, shoe.variants[0].currency) != ("", "")


async def test_the_variant_that_is_shown_is_the_best_and_the_others_follow_best_first(
    serve: Serve, grouped: Path
) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="red shoes", page_size=100))
    shoe = next(item for item in response.items if item.group_id)
    channels = {hit.channel for hit in shoe.recall_channels}

    assert channels & {"lexical", "semantic", "behaviour"}
    known = [variant.item_id for variant in shoe.variants]
    assert shoe.item_id not in known and len(known) == len(set(known)) == 14


async def test_a_filter_looks_at_the_variants(serve: Serve, grouped: Path) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="shoes", filter=BY_COLOUR, page_size=100))
    shoe = next(item for item in response.items if item.group_id)
    red = {item for item in SHOES if int(item[-3:]) % 3 == 0}

    assert {shoe.item_id, *(variant.item_id for variant in shoe.variants)} == red


@pytest.mark.parametrize("size", [1, 7])
async def test_pages_are_full_and_no_product_comes_twice(serve: Serve, grouped: Path, size: int) -> None:
    async with serve() as shop:
        pages = await walk(shop.search, SearchRequest(query="red shoes", page_size=size))
    shown = [item for page in pages for item in page.items]

    assert all(len(page.items) == size for page in pages[:-1])
    assert sum(item.group_id == "kestrel" for item in shown) == 1
    assert len(shown) == 59 - len(SHOES) + 1


async def test_a_flood_of_variants_does_not_fill_a_channel(serve: Serve, grouped: Path) -> None:
    async with serve(per_channel=5) as shop:
        response = await shop.search(SearchRequest(query="shoes", page_size=100))
        recommended = await shop.recommend(RecommendRequest(page_size=100))

    assert sum(item.group_id == "kestrel" for item in response.items) == 1
    assert sum("semantic" in {hit.channel for hit in item.recall_channels} for item in response.items) >= 4
    assert len(recommended.items) == 5  # popularity alone, whose first items are shoes


async def test_similar_items_are_no_variants_of_the_same_product(serve: Serve, grouped: Path) -> None:
    async with serve() as shop:
        of_shoe = await shop.similar(RecommendSimilarItemsRequest(item_id=SHOES[3], page_size=100))
        of_lamp = await shop.similar(RecommendSimilarItemsRequest(item_id=LAMPS[3], page_size=100))

    assert of_shoe.items and not set(ids(of_shoe)) & set(SHOES)
    assert len(set(ids(of_lamp)) & set(SHOES)) == 1


async def test_an_excluded_variant_leaves_the_others(serve: Serve, grouped: Path) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="shoes", page_size=100, exclude_item_ids=SHOES[:13]))
    shoe = next(item for item in response.items if item.group_id)

    assert {shoe.item_id, *(variant.item_id for variant in shoe.variants)} == set(SHOES[13:])


async def test_a_callers_candidates_all_come_back(serve: Serve, grouped: Path) -> None:
    async with serve() as shop:
        response = await shop.rank(RankItemsRequest(query="shoes", item_ids=[*SHOES, LAMPS[0]]))

    assert set(ids(response)) == {*SHOES, LAMPS[0]}
    assert not any(item.variants for item in response.items)


def test_the_fixtures_groups_are_those_of_a_build(tmp_path: Path, grouped: Path) -> None:
    build_item_table(tmp_path, [replace(item, group_id="k" if item.item_id in SHOES else None) for item in catalogue()])

    built, written = ((folder / "group.npy").read_bytes() for folder in (tmp_path, layout_of(grouped, "r1").items))
    assert built == written


@pytest.mark.parametrize("query", ["green lamp", "jacket", "teapot"])
async def test_variants_are_in_the_same_order_on_every_page(serve: Serve, grouped: Path, query: str) -> None:
    async with serve() as shop:
        whole = await shop.search(SearchRequest(query=query, page_size=100))
        pages = await walk(shop.search, SearchRequest(query=query, page_size=1))
    variants = next([variant.item_id for variant in item.variants] for item in whole.items if item.group_id)
    place, later = next((at, page.items[0]) for at, page in enumerate(pages) if page.items[0].group_id)

    assert place > 0
    assert [variant.item_id for variant in later.variants] == variants != sorted(variants)
