"""Hostile and broken input through the front door: a clear status or an honest empty list, never a crash."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from shopfuse.local.client import Client
from shopfuse.v1.item_pb2 import ItemFilter
from shopfuse.v1.recommendation_pb2 import RankItemsRequest, RecommendRequest, RecommendSimilarItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest

TIMEOUT_S = 5.0
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def refusal(method: Callable[..., object], request: object) -> tuple[grpc.StatusCode, str, list[str]]:
    """(status, ErrorInfo reason, fields at fault) of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=TIMEOUT_S)
    status = rpc_status.from_call(caught.value)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        if not detail.Unpack(info):
            detail.Unpack(bad)
    return caught.value.code(), info.reason, [violation.field for violation in bad.field_violations]


@pytest.mark.parametrize("query", ["🛒🎉", "\x00\x01\x02", "!!!", "\u0300" * 200])
def test_a_query_without_a_word_finds_nothing(client: Client, query: str) -> None:
    answer = client.searches.Search(SearchRequest(query=query), timeout=TIMEOUT_S)

    assert not answer.items
    assert not answer.degraded


@pytest.mark.parametrize(
    "query", ["a" + "\u0300\u0323" * 200, "sofa\x00\x07 chair", "‮sofa", "ﷺ" * 300, "sofa AND (OR \"'*:^~"]
)
def test_hostile_queries_are_answered(client: Client, query: str) -> None:
    answer = client.searches.Search(SearchRequest(query=query), timeout=TIMEOUT_S)

    assert not answer.degraded


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (SearchRequest(query=""), ""),
        (SearchRequest(query="x" * 10_000), "query"),
        (SearchRequest(query="sofa", page_size=-1), "page_size"),
        (SearchRequest(query="sofa", user_id="u" * 129), "user_id"),
        (SearchRequest(query="sofa", exclude_item_ids=["x"] * 1001), "exclude_item_ids"),
        (SearchRequest(query="sofa", filter=ItemFilter(min_price=float("nan"))), "filter.min_price"),
        (SearchRequest(query="sofa", filter=ItemFilter(max_price=float("inf"))), "filter.max_price"),
        (SearchRequest(query="sofa", filter=ItemFilter(min_price=-1)), "filter.min_price"),
    ],
)
def test_a_search_out_of_bounds_is_refused_with_its_field(client: Client, request_: SearchRequest, field: str) -> None:
    code, reason, fields = refusal(client.searches.Search, request_)

    assert code is INVALID
    assert reason
    assert fields[0].startswith(field)


def test_page_sizes_are_defaulted_and_reduced(client: Client) -> None:
    none = client.recommendations.Recommend(RecommendRequest(page_size=0), timeout=TIMEOUT_S)
    huge = client.recommendations.Recommend(RecommendRequest(page_size=2_000_000_000), timeout=TIMEOUT_S)

    assert len(none.items) == 20
    assert len(huge.items) == 100


@pytest.mark.parametrize("token", ["forged", "AAAA", "é", "x" * 1000])
def test_a_forged_page_token_is_refused(client: Client, token: str) -> None:
    code, _, fields = refusal(client.recommendations.Recommend, RecommendRequest(page_token=token))

    assert code is INVALID
    assert fields in ([], ["page_token"])


def test_a_page_token_of_another_request_is_refused(client: Client) -> None:
    first = client.recommendations.Recommend(RecommendRequest(page_size=5), timeout=TIMEOUT_S)
    other = RecommendRequest(page_size=5, user_id="somebody", page_token=first.next_page_token)

    assert refusal(client.recommendations.Recommend, other)[0] is INVALID


def test_similar_to_an_unknown_item_is_not_found(client: Client) -> None:
    request = RecommendSimilarItemsRequest(item_id="never-heard-of")

    assert refusal(client.recommendations.RecommendSimilarItems, request)[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("item_ids", [[], ["a", "a"], ["x"] * 513, [""], ["x" * 129]])
def test_rank_items_out_of_bounds_is_refused(client: Client, item_ids: list[str]) -> None:
    code, _, fields = refusal(client.recommendations.RankItems, RankItemsRequest(item_ids=item_ids))

    assert code is INVALID
    assert fields[0].startswith("item_ids")


@pytest.mark.parametrize("image", [b"\xff\xd8", b"\x89PNG\r\n\x1a\n" + bytes(40), bytes((2 << 20) + 1)])
def test_what_is_no_image_is_refused_plainly(client: Client, image: bytes) -> None:
    code, _, fields = refusal(client.searches.Search, SearchRequest(query_image=image))

    assert code is INVALID
    assert fields == ["query_image"]


@pytest.mark.parametrize("message", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xc3\x28"])
def test_malformed_bytes_are_an_invalid_argument_without_internals(
    client: Client, stack: object, message: bytes
) -> None:
    address = stack.endpoints.grpc  # type: ignore[attr-defined]
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/shopfuse.v1.SearchService/Search")(message, timeout=TIMEOUT_S)

    assert caught.value.code() is INVALID
    assert "class" not in caught.value.details()
