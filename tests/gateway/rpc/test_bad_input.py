"""Bad input through the front door: a clear status that names the field, or an honest empty list."""

from __future__ import annotations

import time

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from shopfuse.v1 import item_pb2
from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from tests.gateway.answers import refused
from tests.gateway.shop import Serve

SEARCH = "/shopfuse.v1.SearchService/Search"


def in_days(days: int) -> Timestamp:
    return Timestamp(seconds=int(time.time()) + days * 86_400)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (SearchRequest(), [""]),
        (SearchRequest(query="x" * 10_000), ["query"]),
        (SearchRequest(query="x" * 513), ["query"]),
        (SearchRequest(query="x", page_size=-1), ["page_size"]),
        (SearchRequest(query="x", page_size=-(2**31)), ["page_size"]),
        (SearchRequest(query="x", user_id="u" * 129), ["user_id"]),
        (SearchRequest(query="x", exclude_item_ids=["a", ""]), ["exclude_item_ids[1]"]),
        (SearchRequest(query="x", exclude_item_ids=["a"] * 1001), ["exclude_item_ids"]),
        (SearchRequest(query="x", filter=item_pb2.ItemFilter(min_price=float("nan"))), ["filter.min_price"]),
        (SearchRequest(query="x", filter=item_pb2.ItemFilter(max_price=float("inf"))), ["filter.max_price"]),
        (SearchRequest(query="x", filter=item_pb2.ItemFilter(brands=["b"] * 65)), ["filter.brands"]),
        (SearchRequest(query="x", context=item_pb2.RequestContext(scene="s" * 65)), ["context.scene"]),
        (SearchRequest(query="x", context=item_pb2.RequestContext(time=Timestamp(seconds=1))), ["context.time"]),
        (SearchRequest(query="x", context=item_pb2.RequestContext(time=in_days(2))), ["context.time"]),
        (SearchRequest(query="x", page_token="t" * 1025), ["page_token"]),
    ],
)
async def test_broken_rules_name_their_fields(serve: Serve, request_: SearchRequest, fields: list[str]) -> None:
    async with serve() as shop:
        refusal = await refused(shop.search(request_))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, list(refusal.fields)) == ("INVALID_REQUEST", fields)


@pytest.mark.parametrize("item_ids", [[], ["a", "a"], ["x" * 129], ["\u00e4" * 65], [str(i) for i in range(513)]])
async def test_candidates_must_be_1_to_512_distinct_ids(serve: Serve, item_ids: list[str]) -> None:
    async with serve() as shop:
        refusal = await refused(shop.rank(recommendation.RankItemsRequest(item_ids=item_ids)))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields[0].startswith("item_ids")


@pytest.mark.parametrize("query", ["😀🎉", "\x00\x01\x02", "‮‭​", "!!! ???", " \t\n ", "\u0301" * 512])
async def test_query_without_a_letter_gives_an_honest_empty_list(serve: Serve, query: str) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query=query))

    assert not response.items and not response.degraded and response.request_id
    assert shop.triton.fake.calls == []


@pytest.mark.parametrize(
    "query",
    [
        "red" + "\u0301\u0316" * 250,
        "ﷺ" * 512,
        "\U0001d563\U0001d556\U0001d555 shoes",
        "red\x00shoes",
        "👩‍👩‍👧 red",
        "x" * 512,
    ],
)
async def test_strange_but_searchable_queries_are_answered(serve: Serve, query: str) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query=query))

    assert response.items and not response.degraded


async def test_rank_with_an_unsearchable_query_ranks_without_it(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.rank(recommendation.RankItemsRequest(item_ids=["item-001", "item-002"], query="🎉"))

    assert [item.item_id for item in response.items] == ["item-002", "item-001"]


@pytest.mark.parametrize(("size", "expected"), [(0, 20), (7, 7), (100, 59), (2**31 - 1, 59)])
async def test_page_size_is_coerced(serve: Serve, size: int, expected: int) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="red shoes", page_size=size))

    assert len(response.items) == expected


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x05abc", b"\x0a\x02\xc3\x28", b"\x0a\x03\xed\xa0\x80"])
async def test_bytes_that_do_not_parse_are_the_callers_fault(serve: Serve, raw: bytes) -> None:
    async with serve() as shop:
        refusal = await refused(shop.channel.unary_unary(SEARCH, None, SearchResponse.FromString)(raw))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, refusal.fields) == ("MALFORMED_REQUEST", ())
    assert "Error" not in refusal.text and "class" not in refusal.text


async def test_malformed_bytes_to_reflection_and_watch_are_the_callers_fault(serve: Serve) -> None:
    async with serve() as shop:
        watch = shop.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\xff\xff")
        stream = shop.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")(
            iter([b"\xff\xff"])
        )
        for call in (watch, stream):
            assert (await refused(call.read())).code == grpc.StatusCode.INVALID_ARGUMENT


async def test_too_large_a_message_is_refused(serve: Serve) -> None:
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query="x", query_image=bytes(4 << 20))))

    assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_unknown_method_makes_no_metric(serve: Serve) -> None:
    async with serve() as shop:
        refusal = await refused(shop.channel.unary_unary("/shopfuse.v1.SearchService/Guess")(b""))
        families = list(shop.gateway.metrics.registry.collect())

    assert refusal.code == grpc.StatusCode.UNIMPLEMENTED
    assert not any("Guess" in str(sample.labels) for family in families for sample in family.samples)


async def test_a_bug_tells_the_caller_an_id_and_the_log_the_rest(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("redis://user:secret@host")

    monkeypatch.setattr("shopfuse_gateway.pipeline.flow.apply_policy", broken)
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query="red shoes")))
        handled = shop.metric(
            "grpc_server_handled_total",
            grpc_type="unary",
            grpc_service="shopfuse.v1.SearchService",
            grpc_method="Search",
            grpc_code="Internal",
        )
    incident = refusal.text.rpartition(" ")[2]

    assert refusal.code == grpc.StatusCode.INTERNAL and (refusal.reason, refusal.fields) == ("INTERNAL", ())
    assert "secret" not in refusal.told and incident in caplog.text and "secret" in caplog.text
    assert handled == 1
