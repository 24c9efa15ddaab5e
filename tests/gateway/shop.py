"""A served shop as a test sees it: typed stubs of the gateway's services, and the parts that a test may break."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict, TypeVar, Unpack

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shopfuse.release.channels import Channels, write_channels
from shopfuse.v1.completion_pb2 import CompleteQueryRequest, CompleteQueryResponse
from shopfuse.v1.completion_pb2_grpc import CompletionServiceStub
from shopfuse.v1.recommendation_pb2 import (
    RankItemsRequest,
    RankItemsResponse,
    RecommendRequest,
    RecommendResponse,
    RecommendSimilarItemsRequest,
    RecommendSimilarItemsResponse,
)
from shopfuse.v1.recommendation_pb2_grpc import RecommendationServiceStub
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse.v1.search_pb2_grpc import SearchServiceStub
from shopfuse.v1.text_pb2 import ClassifyTextRequest, ClassifyTextResponse
from shopfuse.v1.text_pb2_grpc import TextServiceStub
from shopfuse_gateway.server import Gateway
from tests.gateway.fake_triton import Triton

RequestT = TypeVar("RequestT", contravariant=True)
ResponseT = TypeVar("ResponseT", covariant=True)


class Call(Awaitable[ResponseT], Protocol[ResponseT]):
    """A call in flight: what tests use of grpc's, which has no types."""

    def cancel(self) -> bool: ...

    async def trailing_metadata(self) -> Iterable[tuple[str, str]]: ...


class Method(Protocol[RequestT, ResponseT]):
    """A method of a service, as a stub has it."""

    def __call__(self, request: RequestT, *, timeout: float | None = None) -> Call[ResponseT]: ...


@dataclass(frozen=True)
class Shop:
    gateway: Gateway
    channel: grpc.aio.Channel
    triton: Triton
    search: Method[SearchRequest, SearchResponse]
    recommend: Method[RecommendRequest, RecommendResponse]
    similar: Method[RecommendSimilarItemsRequest, RecommendSimilarItemsResponse]
    rank: Method[RankItemsRequest, RankItemsResponse]
    classify: Method[ClassifyTextRequest, ClassifyTextResponse]
    complete: Method[CompleteQueryRequest, CompleteQueryResponse]
    health: health_pb2_grpc.HealthStub

    @classmethod
    def over(cls, channel: grpc.aio.Channel, gateway: Gateway, triton: Triton) -> Shop:
        recommendations = RecommendationServiceStub(channel)
        return cls(
            gateway,
            channel,
            triton,
            SearchServiceStub(channel).Search,
            recommendations.Recommend,
            recommendations.RecommendSimilarItems,
            recommendations.RankItems,
            TextServiceStub(channel).ClassifyText,
            CompletionServiceStub(channel).CompleteQuery,
            health_pb2_grpc.HealthStub(channel),
        )

    def metric(self, name: str, **labels: str) -> float:
        return self.gateway.metrics.registry.get_sample_value(name, labels) or 0.0

    @property
    def channels(self) -> Channels:
        """What the gateway answers with."""
        return self.gateway.releases.channels

    async def until(self, condition: Callable[[], object]) -> None:
        """Returns once it holds; calls of the gateway pass the time."""
        while not condition():
            await self.health.Check(health_pb2.HealthCheckRequest())

    async def publish(self, wanted: Channels) -> None:
        """Writes channels.json, and waits until the gateway answers with it."""
        write_channels(self.gateway.settings.workspace, wanted)
        await self.until(lambda: self.channels == wanted and set(wanted.in_use) <= set(self.gateway.releases.held))


class Changes(TypedDict, total=False):
    """The settings that tests change."""

    workspace: Path
    triton: str
    release_id: str
    page_token_key: str
    follow_s: float
    grpc_port: int
    deadline_s: float
    classify_deadline_s: float
    reserve_s: float
    pool: int
    per_channel: int
    max_in_flight: int
    breaker_failures: int
    breaker_retry_s: float
    log_impressions: bool
    slow_s: float


class Serve(Protocol):
    def __call__(self, **changes: Unpack[Changes]) -> AbstractAsyncContextManager[Shop]: ...
