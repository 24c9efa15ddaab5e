"""Health (Check, Watch) and reflection, as balancers and grpcurl use them."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha import reflection_pb2

from tests.gateway.answers import refused
from tests.gateway.shop import Serve, Shop

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("service", ["", "shopfuse.v1.SearchService", "shopfuse.v1.RecommendationService"])
async def test_every_service_is_serving(serve: Serve, service: str) -> None:
    async with serve() as shop:
        response = await shop.health.Check(HealthCheckRequest(service=service))

    assert response.status == SERVING


async def test_unknown_service_is_not_found_and_its_watch_waits(serve: Serve) -> None:
    async with serve() as shop:
        refusal = await refused(shop.health.Check(HealthCheckRequest(service="nope")))
        watched = await shop.health.Watch(HealthCheckRequest(service="nope")).read()

    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert watched.status == HealthCheckResponse.SERVICE_UNKNOWN


async def test_health_does_not_hang_on_triton(serve: Serve) -> None:
    async with serve() as shop:
        await shop.triton.stop()
        response = await shop.health.Check(HealthCheckRequest())

    assert response.status == SERVING


async def test_watchers_hear_of_a_drain_also_after_another_left(serve: Serve) -> None:
    async with serve() as shop:
        leaving, staying = (shop.health.Watch(HealthCheckRequest()) for _ in range(2))
        assert (await leaving.read()).status == (await staying.read()).status == SERVING
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving.read()
        drained = asyncio.create_task(shop.gateway.drain())
        told = (await staying.read()).status
        ended = await staying.read()
        await drained

    assert told == NOT_SERVING and ended is grpc.aio.EOF


ALPHA, STABLE = "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"


async def reflected(shop: Shop, service: str, **asked: str) -> reflection_pb2.ServerReflectionResponse:
    """The answer of either version: their messages are the same on the wire."""
    method = shop.channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    (answer,) = [answer async for answer in method(iter([reflection_pb2.ServerReflectionRequest(**asked)]))]
    return answer


@pytest.mark.parametrize("version", [ALPHA, STABLE])
async def test_reflection_lists_the_services(serve: Serve, version: str) -> None:
    async with serve() as shop:
        answer = await reflected(shop, version, list_services="")

    assert {service.name for service in answer.list_services_response.service} == {
        "shopfuse.v1.SearchService",
        "shopfuse.v1.RecommendationService",
        "shopfuse.v1.TextService",
        "shopfuse.v1.CompletionService",
        "grpc.health.v1.Health",
        ALPHA,
        STABLE,
    }


@pytest.mark.parametrize("version", [ALPHA, STABLE])
@pytest.mark.parametrize(
    ("symbol", "holds"),
    [
        ("shopfuse.v1.SearchService", b".shopfuse.v1.SearchRequest"),
        (ALPHA, f".{ALPHA}Request".encode()),
        (STABLE, f".{STABLE}Request".encode()),
    ],
)
async def test_reflection_describes_the_methods(serve: Serve, version: str, symbol: str, holds: bytes) -> None:
    async with serve() as shop:
        answer = await reflected(shop, version, file_containing_symbol=symbol)

    assert holds in answer.file_descriptor_response.file_descriptor_proto[0]
