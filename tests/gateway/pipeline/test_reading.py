"""What a search's words say beside what to look for: prices, what is absent, slips; and what a caller is told."""

from __future__ import annotations

from shopfuse.v1 import item_pb2
from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.answers import ids
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import catalogue

ITEMS = {item.item_id: item for item in catalogue()}


async def test_prices_in_the_words_filter_the_items(serve: Serve) -> None:
    async with serve() as shop:
        answer = await shop.search(SearchRequest(query="red shoes under 40", page_size=100))

    assert answer.query_interpretation.max_price == 40.0
    assert not answer.query_interpretation.HasField("min_price")
    assert len(answer.items) == 31
    assert all((ITEMS[item_id].price or 0.0) <= 40.0 for item_id in ids(answer))


async def test_the_callers_own_price_limit_holds_beside_that_of_the_words(serve: Serve) -> None:
    async with serve() as shop:
        wanted = item_pb2.ItemFilter(min_price=20.0, max_price=30.0)
        answer = await shop.search(SearchRequest(query="red shoes under 40", filter=wanted, page_size=100))

    assert {ITEMS[item_id].price for item_id in ids(answer)} <= set(range(20, 31))
    assert len(answer.items) > 0


async def test_what_is_asked_to_be_absent_is_in_no_page(serve: Serve) -> None:
    async with serve() as shop:
        first = await shop.search(SearchRequest(query="shoes -red", page_size=5))
        second = await shop.search(SearchRequest(query="shoes -red", page_size=100, page_token=first.next_page_token))

    assert first.query_interpretation.excluded_words == ["red"]
    assert second.query_interpretation == first.query_interpretation
    shown = ids(first) + ids(second)
    assert len(shown) > 5
    assert not [item_id for item_id in shown if "red" in ITEMS[item_id].title]


async def test_a_correction_is_told_and_can_be_refused(serve: Serve) -> None:
    async with serve() as shop:
        corrected = await shop.search(SearchRequest(query="teapto"))
        typed = await shop.search(SearchRequest(query="teapto", disable_correction=True))
        plain = await shop.search(SearchRequest(query="teapot"))

    assert corrected.query_interpretation.corrected_query == "teapot"
    assert ids(corrected) == ids(plain)
    assert plain.query_interpretation.corrected_query == ""
    assert typed.query_interpretation.corrected_query == ""
    assert not any(channel.channel == "lexical" for item in typed.items for channel in item.recall_channels)


async def test_a_reason_says_which_words_the_item_holds(serve: Serve) -> None:
    async def said(query: str) -> set[str]:
        answer = await shop.search(SearchRequest(query=query, explain=True, page_size=100))
        texts = (reason.text for item in answer.items for reason in item.explanation.reasons)
        return {text for text in texts if text.startswith("its text holds every word")}

    async with serve() as shop:
        assert await said("teapto") == {"its text holds every word of “teapot”, which “teapto” was read as"}
        assert await said("teapot under 30 -red") == {"its text holds every word of “teapot”"}
        assert await said("green teap") == {"its text holds every word of “green teap”, the last one completed"}


async def test_words_that_nothing_holds_together_are_told(serve: Serve) -> None:
    async with serve() as shop:
        answer = await shop.search(SearchRequest(query="red teapot jacket"))

    assert list(answer.query_interpretation.relaxed_words) in (["teapot"], ["jacket"])
