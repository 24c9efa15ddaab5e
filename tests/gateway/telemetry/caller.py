"""A caller that has a trace of its own."""

from __future__ import annotations

from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse.v1.search_pb2_grpc import SearchServiceStub
from tests.gateway.shop import Shop

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


async def search_as(shop: Shop, traceparent: str, request: SearchRequest) -> SearchResponse:
    response: SearchResponse = await SearchServiceStub(shop.channel).Search(
        request, metadata=(("traceparent", traceparent),)
    )
    return response
