"""Pages: none of the items twice, none lost, whatever happens between two calls; tokens cannot be forged."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.v1.recommendation_pb2 import RecommendRequest, RecommendResponse
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse_gateway.errors import InvalidPageToken, PageTokenExpired
from shopfuse_gateway.releases.page_token import MAX_CHARS, Page, PageTokens, capacity, digest, read_key
from tests.gateway.answers import ids, refused
from tests.gateway.shop import Method, Serve
from tests.user_states import user_state

REQUEST = digest("a request")
RequestT = TypeVar("RequestT", SearchRequest, RecommendRequest)
PageOf = TypeVar("PageOf", SearchResponse, RecommendResponse)


async def walk(
    method: Method[RequestT, PageOf], request: RequestT, between: Callable[[], Awaitable[None]] | None = None
) -> list[PageOf]:
    """All pages; `between` is awaited after each."""
    pages = [await method(request)]
    while pages[-1].next_page_token:
        if between:
            await between()
        request.page_token = pages[-1].next_page_token
        pages.append(await method(request))
    return pages


@pytest.mark.parametrize("size", [1, 7, 25])
async def test_pages_are_the_whole_list_in_slices(serve: Serve, size: int) -> None:
    async with serve() as shop:
        whole = await shop.search(SearchRequest(query="red shoes", user_id="ann", page_size=100))
        pages = await walk(shop.search, SearchRequest(query="red shoes", user_id="ann", page_size=size))

    assert [item.item_id for page in pages for item in page.items] == ids(whole)
    assert all(len(page.items) == size for page in pages[:-1])
    assert [item.score for page in pages for item in page.items] == [item.score for item in whole.items]


async def test_gateways_with_one_key_know_each_others_pages(serve: Serve, tmp_path: Path) -> None:
    for name in ("shared", "other"):
        (tmp_path / name).write_bytes(name.encode() * 32)
    shared, other = str(tmp_path / "shared"), str(tmp_path / "other")
    request = RecommendRequest(user_id="ann", page_size=10)
    async with serve(page_token_key=shared) as first:
        request.page_token = (await first.recommend(request)).next_page_token

    async with serve(page_token_key=shared) as second:
        assert ids(await second.recommend(request))
    async with serve(page_token_key=other) as stranger:
        assert (await refused(stranger.recommend(request))).code == grpc.StatusCode.INVALID_ARGUMENT
    assert not (tmp_path / "state" / "page_token.key").exists()


async def test_the_same_token_gives_the_same_page_again(serve: Serve) -> None:
    async with serve() as shop:
        request = RecommendRequest(user_id="ann", page_size=10)
        request.page_token = (await shop.recommend(request)).next_page_token
        first, again = await shop.recommend(request), await shop.recommend(request)

    assert ids(first) == ids(again) and first.next_page_token == again.next_page_token
    assert first.items == again.items


async def test_pages_hold_when_triton_dies_between_them(serve: Serve) -> None:
    async with serve() as shop:
        pages = await walk(shop.search, SearchRequest(query="red shoes", page_size=20), shop.triton.stop)
    item_ids = [item_id for page in pages for item_id in ids(page)]

    assert [page.degraded for page in pages] == [False, True, True]
    assert len(item_ids) == len(set(item_ids)) == 59 and item_ids == sorted(item_ids, reverse=True)


async def test_pages_hold_when_the_user_goes_on_shopping(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [("item-001", "view_item", 1.0)]
    monkeypatch.setattr(LmdbStore, "users", lambda *_: [user_state(events)])
    request = RecommendRequest(user_id="ben", page_size=20)
    async with serve() as shop:

        async def shop_on() -> None:
            events.append((f"item-05{len(events)}", "purchase", 2.0))

        whole = await shop.recommend(RecommendRequest(user_id="ben", page_size=100))
        pages = await walk(shop.recommend, request, shop_on)

    assert len(pages) == 3 and [item_id for page in pages for item_id in ids(page)] == ids(whole)


@pytest.mark.parametrize(
    "change",
    [
        SearchRequest(query="blue shoes"),
        SearchRequest(user_id="ben"),
        SearchRequest(exclude_item_ids=["item-001"]),
        SearchRequest(explain=True),
        SearchRequest(filter={"brands": ["Acme"]}),
        SearchRequest(context={"scene": "holiday"}),
    ],
)
async def test_token_of_another_request_is_refused(serve: Serve, change: SearchRequest) -> None:
    async with serve() as shop:
        request = SearchRequest(query="red shoes", page_size=5)
        request.page_token = (await shop.search(request)).next_page_token
        request.MergeFrom(change)
        refusal = await refused(shop.search(request))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT


async def test_token_of_another_method_is_refused(serve: Serve) -> None:
    async with serve() as shop:
        token = (await shop.recommend(RecommendRequest(page_size=5))).next_page_token
        refusal = await refused(shop.search(SearchRequest(query="red shoes", page_token=token)))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "token", ["x", "AAAA", "é", "!" * 40, "A" * 1024, base64.urlsafe_b64encode(bytes(200)).decode()]
)
async def test_forged_tokens_are_refused(serve: Serve, token: str) -> None:
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query="red shoes", page_token=token)))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "page_token" in refusal.text


async def test_token_of_a_gone_release_says_to_start_again(serve: Serve) -> None:
    async with serve() as shop:
        engine = shop.gateway.engine
        older = PageTokens(read_key(engine.settings.workspace / "state" / "page_token.key"), "r0", 60)
        request = SearchRequest(query="red shoes", page_size=5)
        token = (await shop.search(request)).next_page_token
        page = engine.tokens.read(token, fingerprint(token))
        request.page_token = older.write(page, fingerprint(token))
        refusal = await refused(shop.search(request))

    assert refusal.code == grpc.StatusCode.ABORTED and "first page" in refusal.text


def fingerprint(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[8:16]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 2**31 - 1), st.integers(0, 2**32), st.data())
def test_token_round_trip(items: int, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, min(items, 512, capacity(items))))
    rows = np.random.default_rng(seed).integers(0, items, count).astype(np.int32)
    tokens = PageTokens(b"key", "r1", items)
    token = tokens.write(Page(rows, 20, 1.5), REQUEST)
    page = tokens.read(token, REQUEST)

    assert len(token) <= MAX_CHARS
    assert (page.rows == rows).all() and (page.offset, page.at) == (20, 1.5)


def test_a_million_items_fit_a_full_pool() -> None:
    assert capacity(1_000_000) >= 256


def test_any_flipped_character_is_refused() -> None:
    tokens = PageTokens(b"key", "r1", 1000)
    token = tokens.write(Page(np.arange(50, dtype=np.int32), 20, 1.5), REQUEST)
    for at in range(len(token) - 1):  # the last one holds padding bits
        forged = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(InvalidPageToken):
            tokens.read(forged, REQUEST)


def test_another_shops_key_and_another_release_are_told_apart() -> None:
    token = PageTokens(b"key", "r1", 1000).write(Page(np.arange(3, dtype=np.int32), 1, 1.5), REQUEST)
    with pytest.raises(InvalidPageToken):
        PageTokens(b"other", "r1", 1000).read(token, REQUEST)
    with pytest.raises(PageTokenExpired):
        PageTokens(b"key", "r2", 1000).read(token, REQUEST)


def test_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "page_token.key"
    key = read_key(path)

    assert len(key) == 32 and read_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600 and list(path.parent.iterdir()) == [path]
