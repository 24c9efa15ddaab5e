"""Requests are checked by bounded work: a list is counted before anything looks into it, and an answer tells some."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from shopfuse.v1 import item_pb2
from shopfuse.v1.recommendation_pb2 import RankItemsRequest
from shopfuse.v1.search_pb2 import FACET_FIELD_BRAND as BRAND
from shopfuse.v1.search_pb2 import FACET_FIELD_PRICE as PRICE
from shopfuse.v1.search_pb2 import FacetSpec, SearchRequest, SearchResponse
from shopfuse_gateway.errors import InvalidRequest
from shopfuse_gateway.rpc.validation import MOST_TOLD, RequestValidator
from shopfuse_gateway.server import SERVICES
from tests.gateway.answers import refused
from tests.gateway.shop import Serve

SEARCH = "/shopfuse.v1.SearchService/Search"
EMPTY_ID = bytes([SearchRequest.EXCLUDE_ITEM_IDS_FIELD_NUMBER << 3 | 2, 0])


async def test_a_million_empty_ids_in_a_few_bytes_cost_one_line(serve: Serve) -> None:
    bomb = EMPTY_ID * 1_500_000
    async with serve() as shop:
        call = shop.channel.unary_unary(SEARCH, None, SearchResponse.FromString)
        refusal = await refused(call(bomb, compression=grpc.Compression.Gzip, timeout=5))
        health = await shop.health.Check(HealthCheckRequest())

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == ("exclude_item_ids",) and "1500000" in refusal.text
    assert health.status == HealthCheckResponse.SERVING


async def test_of_many_broken_fields_a_client_is_told_some_and_how_many_more(serve: Serve) -> None:
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query="red", exclude_item_ids=[""] * 1000)))

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert len(refusal.fields) == MOST_TOLD + 1
    assert f"{1000 - MOST_TOLD} more" in refusal.text


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (SearchRequest(query="x", facet_specs=[FacetSpec(field=BRAND)] * 17), "facet_specs"),
        (
            SearchRequest(query="x", facet_specs=[FacetSpec(field=PRICE, price_bounds=range(21))]),
            "facet_specs[0].price_bounds",
        ),
        (SearchRequest(query="x", filter=item_pb2.ItemFilter(categories=["c"] * 10**5)), "filter.categories"),
        (RankItemsRequest(item_ids=["same"] * 10**6), "item_ids"),
    ],
)
def test_the_first_list_that_is_too_long_is_all_that_is_told(
    request_: SearchRequest | RankItemsRequest, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RequestValidator().check(request_)

    [(path, problem)] = caught.value.violations
    assert path == field and "at most" in problem


def unbounded(kind: Descriptor) -> Iterator[str]:
    for field in kind.fields:
        if field.is_repeated and not field.GetOptions().Extensions[validate_pb2.field].repeated.max_items:
            yield field.full_name
        if field.message_type and not field.message_type.file.package.startswith("google."):
            yield from unbounded(field.message_type)


def test_every_list_of_every_request_says_how_long_it_may_be() -> None:
    """One without a bound would be refused whatever it holds."""
    requests = [method.input_type for service in SERVICES for method in service.methods]

    assert [name for request in requests for name in unbounded(request)] == []
