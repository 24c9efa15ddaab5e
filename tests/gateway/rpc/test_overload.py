"""More requests than fit are refused at once, with a hint when to come back; a drain loses none."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest

from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from tests.gateway.answers import refused
from tests.gateway.shop import Call, Serve, Shop


async def fill(shop: Shop, places: int) -> list[Call[SearchResponse]]:
    """Calls that occupy all places until the gate of the fake Triton opens."""
    shop.triton.fake.gate.clear()
    calls = [shop.search(SearchRequest(query=f"red {n}")) for n in range(places)]
    while len(shop.triton.fake.calls) < places:
        await shop.health.Check(HealthCheckRequest())
    return calls


async def test_request_too_many_is_refused_at_once_with_a_retry_hint(serve: Serve) -> None:
    async with serve(max_in_flight=2) as shop:
        calls = await fill(shop, 2)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await shop.search(SearchRequest(query="red"))
        still_full = shop.metric("shopfuse_inflight_requests") == 2
        shed = shop.metric("shopfuse_shed_total", reason="in_flight")
        shop.triton.fake.gate.set()
        answers = await asyncio.gather(*calls)
    trailing = dict(caught.value.trailing_metadata())
    status, retry = status_pb2.Status.FromString(trailing["grpc-status-details-bin"]), error_details_pb2.RetryInfo()

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and still_full
    assert status.details[1].Unpack(retry) and retry.retry_delay.ToMilliseconds() > 0
    assert int(trailing["grpc-retry-pushback-ms"]) > 0
    assert shed == 1 and not any(answer.degraded for answer in answers)


async def test_health_is_answered_in_an_overload_and_places_come_free(serve: Serve) -> None:
    async with serve(max_in_flight=1) as shop:
        calls = await fill(shop, 1)
        assert shop.metric("shopfuse_inflight_requests") == 1
        await shop.health.Check(HealthCheckRequest(), timeout=10.0)
        shop.triton.fake.gate.set()
        await asyncio.gather(*calls)
        await shop.search(SearchRequest(query="blue"))

        assert shop.metric("shopfuse_inflight_requests") == 0


async def test_cancelled_call_gives_its_place_back_and_leaves_triton(serve: Serve) -> None:
    async with serve(max_in_flight=1) as shop:
        (call,) = await fill(shop, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        shop.triton.fake.gate.set()
        while shop.metric("shopfuse_inflight_requests"):
            await shop.health.Check(HealthCheckRequest())
        response = await shop.search(SearchRequest(query="blue"))
        cancelled = shop.metric(
            "grpc_server_handled_total",
            grpc_type="unary",
            grpc_service="shopfuse.v1.SearchService",
            grpc_method="Search",
            grpc_code="Cancelled",
        )

    assert response.items and cancelled == 1


async def test_expired_deadline_is_not_worked_on(serve: Serve) -> None:
    async with serve() as shop:
        refusal = await refused(shop.search(SearchRequest(query="red"), timeout=0.0))

    assert refusal.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert shop.triton.fake.calls == []


async def test_drain_loses_no_request(serve: Serve) -> None:
    async with serve() as shop:
        running = await fill(shop, 8)
        drain = asyncio.create_task(shop.gateway.drain())
        watch = shop.health.Watch(HealthCheckRequest())
        while (await watch.read()) is not grpc.aio.EOF:
            pass
        late = [shop.search(SearchRequest(query=f"blue {n}")) for n in range(2)]
        shop.triton.fake.gate.set()
        answers = await asyncio.gather(*running)
        await drain
        ended = await asyncio.gather(*late, return_exceptions=True)

    assert len(answers) == 8 and all(answer.items for answer in answers)
    for outcome in ended:  # after the port closed: answered, or refused as unavailable so that clients go elsewhere
        assert not isinstance(outcome, grpc.aio.AioRpcError) or outcome.code() == grpc.StatusCode.UNAVAILABLE
