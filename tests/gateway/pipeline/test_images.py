"""Search by image, through the front door: with and without words, refused, remembered, and degraded."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import grpc
import pytest
from PIL import Image

from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.recommendation_pb2 import RecommendSimilarItemsResponse
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse_gateway.pipeline import encode
from tests.gateway.answers import degradations, refused
from tests.gateway.release_edits import lose_images
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import IMAGE_SIZE


def image_of(item: int, side: int = IMAGE_SIZE) -> bytes:
    """An image that, to the fake encoder, looks like this item."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (item, item, item)).save(buffer, "PNG")
    return buffer.getvalue()


def by_channel(response: SearchResponse | RecommendSimilarItemsResponse, channel: str) -> dict[str, float]:
    return {
        item.item_id: hit.score for item in response.items for hit in item.recall_channels if hit.channel == channel
    }


async def test_an_image_finds_what_looks_like_it(serve: Serve) -> None:
    async with serve(per_channel=5) as shop:
        response = await shop.search(SearchRequest(query_image=image_of(7), explain=True, page_size=100))
    looks = by_channel(response, "visual")
    own = next(item for item in response.items if item.item_id == "item-007")

    assert not response.degraded
    assert response.items[0].item_id == "item-007" and not response.items[0].task_scores  # ordered by looks
    assert len(looks) == 5 and looks["item-007"] == pytest.approx(1.0, abs=1e-3) == max(looks.values())
    assert not by_channel(response, "lexical") and not by_channel(response, "semantic")
    assert (own.explanation.reasons[0].code, own.explanation.reasons[0].text) == (
        "LOOKS_ALIKE",
        "looks like your image (1.00)",
    )


async def test_words_and_an_image_are_looked_for_together(serve: Serve) -> None:
    async with serve(per_channel=5) as shop:
        message = SearchRequest(query="red shoes", query_image=image_of(7), explain=True, page_size=100)
        response = await shop.search(message)
        calls = list(shop.triton.fake.calls)

    assert {name: len(by_channel(response, name)) for name in ("lexical", "semantic", "visual", "behaviour")} == {
        "lexical": 5,
        "semantic": 5,
        "visual": 5,
        "behaviour": 5,
    }
    assert sorted(calls[:2]) == ["encode_image_r1", "encode_query_r1"]
    codes = {reason.code for item in response.items for reason in item.explanation.reasons}
    assert {"MATCHES_QUERY", "LOOKS_ALIKE"} <= codes


async def test_items_without_an_image_are_not_found_by_one(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query_image=image_of(7), page_size=100))

    assert not {"item-009", "item-019"} & set(by_channel(response, "visual"))
    assert len(by_channel(response, "visual")) == 54


async def test_pages_of_an_image_continue(serve: Serve) -> None:
    async with serve() as shop:
        message = SearchRequest(query_image=image_of(7), page_size=10)
        first = await shop.search(message)
        message.page_token = first.next_page_token
        second = await shop.search(message)
        message.query_image = image_of(8)
        refusal = await refused(shop.search(message))

    assert len(second.items) == 10
    assert not {item.item_id for item in first.items} & {item.item_id for item in second.items}
    assert (refusal.reason, refusal.fields) == ("INVALID_PAGE_TOKEN", ("page_token",))


async def test_an_image_is_encoded_once(serve: Serve) -> None:
    async with serve() as shop:
        for item in (7, 7, 8):
            await shop.search(SearchRequest(query_image=image_of(item)))
        calls = shop.triton.fake.calls.count("encode_image_r1")

        assert calls == 2
        assert shop.metric("shopfuse_cache_events_total", cache="image", outcome="hit") == 1


async def test_similar_items_are_found_by_their_own_images(serve: Serve) -> None:
    async with serve(per_channel=5) as shop:
        request = recommendation.RecommendSimilarItemsRequest(item_id="item-007", explain=True)
        response = await shop.similar(request)
        without = await shop.similar(recommendation.RecommendSimilarItemsRequest(item_id="item-009"))

    assert len(by_channel(response, "visual")) >= 4  # itself is left out
    texts = [reason.text for item in response.items for reason in item.explanation.reasons]
    assert any(text.startswith("looks like this item (0.") for text in texts)
    assert not by_channel(without, "visual") and without.items


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (b"\xff\xd8\xff", "query_image: not a JPEG, PNG or WebP image"),
        (image_of(7, 200)[:-60], "query_image: cannot be decoded"),
        (image_of(1, 5200), "query_image: 5200 x 5200 pixels, expected at most"),
    ],
)
async def test_what_is_no_image_is_the_callers_fault(serve: Serve, image: bytes, problem: str) -> None:
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query_image=image)))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ("query_image",)) and refusal.text.startswith(
        problem
    )


async def test_an_image_of_too_many_bytes_is_refused_unread(serve: Serve) -> None:
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query_image=bytes((2 << 20) + 1))))

    assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ("query_image",))


async def test_a_shop_without_images_says_so(copied: Path, serve: Serve) -> None:
    lose_images(copied, "r1")
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query="shoes", query_image=image_of(7))))

    assert refusal.code == grpc.StatusCode.UNIMPLEMENTED and (refusal.reason, refusal.fields) == ("UNSUPPORTED", ())


async def test_without_triton_words_beside_an_image_still_answer(serve: Serve) -> None:
    async with serve() as shop:
        await shop.triton.stop()
        both = await shop.search(SearchRequest(query="red shoes", query_image=image_of(7)))
        alone = await shop.search(SearchRequest(query_image=image_of(7)))

    assert ("encode", "IMAGE_ENCODER_UNAVAILABLE") in degradations(both) & degradations(alone)
    assert both.items[0].title == "red shoes"
    assert alone.items[0].item_id == "item-000"  # the most popular


async def test_an_image_that_takes_too_long_degrades(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(reserve_s=0.3) as shop:
        done = threading.Event()
        monkeypatch.setattr(encode, "decode_query", lambda *_: done.wait(20))
        response = await shop.search(SearchRequest(query_image=image_of(7)), timeout=1.5)
        done.set()

    assert degradations(response) == {("encode", "IMAGE_LATE")}
    assert response.items
