"""A search that nothing answers has an empty list, or what comes closest where the caller asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.answers import ids
from tests.gateway.release_edits import edit_manifest
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import catalogue

ITEMS = {item.item_id: item for item in catalogue()}
NONSENSE = "qzxvkj"


@pytest.fixture
def strict(copied: Path) -> None:
    """No item is ever near enough in meaning alone."""
    edit_manifest(copied, "r1", meaning_floor=1.1)


@pytest.mark.usefixtures("strict")
async def test_what_means_nothing_finds_nothing(serve: Serve) -> None:
    async with serve() as shop:
        answer = await shop.search(SearchRequest(query=NONSENSE))

    assert not answer.items and not answer.next_page_token and not answer.fallback and not answer.degraded


@pytest.mark.usefixtures("strict")
async def test_what_comes_closest_is_marked_on_every_page(serve: Serve) -> None:
    async with serve() as shop:
        wanted = SearchRequest(query=NONSENSE, allow_fallback=True, page_size=5)
        first = await shop.search(wanted)
        wanted.page_token = first.next_page_token
        second = await shop.search(wanted)

    assert first.fallback and second.fallback
    assert len(set(ids(first) + ids(second))) == 10


@pytest.mark.usefixtures("strict")
async def test_words_that_items_hold_are_answered_by_these_items(serve: Serve) -> None:
    async with serve() as shop:
        answer = await shop.search(SearchRequest(query="red shoes", page_size=100, allow_fallback=True))

    assert not answer.fallback
    shown = {ITEMS[item_id].title for item_id in ids(answer)}
    assert shown and all("red" in title or "shoes" in title for title in shown)


async def test_meaning_answers_where_it_is_near(copied: Path, serve: Serve) -> None:
    edit_manifest(copied, "r1", meaning_floor=-1.0)
    async with serve() as shop:
        answer = await shop.search(SearchRequest(query=NONSENSE))

    assert answer.items and not answer.fallback


async def test_a_shop_without_meaning_is_searched_by_words_alone_and_nothing_is_encoded(
    copied: Path, serve: Serve
) -> None:
    edit_manifest(copied, "r1", without_meaning="its encoder does not read Volapük")
    async with serve() as shop:
        found = await shop.search(SearchRequest(query="red shoes", page_size=5))
        nothing = await shop.search(SearchRequest(query=NONSENSE))
        calls = set(shop.triton.fake.calls)

    assert len(found.items) == 5 and not found.degraded
    assert not any(score.channel == "semantic" for item in found.items for score in item.recall_channels)
    assert not nothing.items and not nothing.degraded
    assert not any("encode_query" in name for name in calls)
