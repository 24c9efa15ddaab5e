"""The composition root of one gateway process: everything is opened here, passed down, and closed in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from shopfuse.core.addresses import host_port
from shopfuse.release.channels import read_channels
from shopfuse.release.manifest import ReleaseError
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.state.store import FeatureStore, MissingStore, StoreError
from shopfuse.v1 import (
    completion_pb2,
    completion_pb2_grpc,
    recommendation_pb2,
    recommendation_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    text_pb2,
    text_pb2_grpc,
)
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.releases.follower import Follower, OpenEngine
from shopfuse_gateway.releases.held_releases import Releases
from shopfuse_gateway.releases.lease import leased
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.releases.page_token import PageTokens, read_key
from shopfuse_gateway.releases.query_cache import EncodedImage, EncodedQuery, QueryCache
from shopfuse_gateway.releases.warm_up import not_served
from shopfuse_gateway.rpc.admission import Admission
from shopfuse_gateway.rpc.completion import CompletionService
from shopfuse_gateway.rpc.health import Health
from shopfuse_gateway.rpc.interceptor import Interceptor
from shopfuse_gateway.rpc.loop_lag import LoopLag
from shopfuse_gateway.rpc.services import Answering, RecommendationService, SearchService, TextService
from shopfuse_gateway.settings import Settings, SettingsError, has_collector
from shopfuse_gateway.telemetry.impression_log import ImpressionLog
from shopfuse_gateway.telemetry.metrics import Metrics, serve_metrics
from shopfuse_gateway.telemetry.tracing import OFF, TracedStore, Tracing
from shopfuse_gateway.triton.client import TritonClient

log = logging.getLogger(__name__)

SERVICES = (
    search_pb2.DESCRIPTOR.services_by_name["SearchService"],
    recommendation_pb2.DESCRIPTOR.services_by_name["RecommendationService"],
    text_pb2.DESCRIPTOR.services_by_name["TextService"],
    completion_pb2.DESCRIPTOR.services_by_name["CompletionService"],
)
LOOK_EVERY_S = 0.1
REFLECTION = ("v1alpha", "v1")
METHODS = tuple(f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods)
OPTIONS = (
    ("grpc.max_receive_message_length", 3 << 20),  # a request with an image of 2 MiB
    ("grpc.max_send_message_length", 4 << 20),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.max_concurrent_streams", 128),
    # gRPC core refuses with CANCELLED, which looks like the client's doing: our own admission must refuse first.
    # Yet its queue must stay short: what waits there longer than its deadline is work for nobody.
    ("grpc.server.max_pending_requests", 64),
    ("grpc.server.max_pending_requests_hard_limit", 128),
    ("grpc.server_handshake_timeout_ms", 3_000),
    ("grpc.max_connection_idle_ms", 300_000),
    # Clients look for new servers only when a connection ends.
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway process."""

    grpc_port: int
    metrics_port: int
    settings: Settings
    releases: Releases
    metrics: Metrics
    health: Health
    server: grpc.aio.Server

    @property
    def engine(self) -> Engine:
        """Of the stable release."""
        return self.releases.engine(self.releases.channels.stable)

    async def drain(self) -> None:
        """Stops without losing a request: balancers are told first, running calls may end, then the port closes."""
        await self.health.set_all(serving=False)
        await asyncio.sleep(self.settings.drain_s)
        await self.health.close()
        await self.server.stop(self.settings.grace_s)


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway that serves; its health says NOT_SERVING until then.

    Raises ReleaseError where the release cannot be served, SettingsError for a taken port.

    Without Triton or the feature store it starts all the same, and answers degraded.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        tracing = await _open_tracing(stack, metrics)
        open_engine = _engine_opener(stack, settings, metrics, tracing)
        releases = Releases(open_engine(settings.release_id or _stable(settings), ()))
        folder = settings.paths.impressions if settings.log_impressions else None
        impressions = stack.enter_context(closing(ImpressionLog(folder, metrics)))
        answering = Answering(settings, releases, impressions, metrics)
        await stack.enter_async_context(leased(settings.workspace, releases))
        server, health = await _make_server(stack, settings, answering, metrics, tracing)
        port = _listen(server, settings)
        await server.start()
        stack.push_async_callback(server.stop, None)
        metrics_port = _serve_metrics(stack, settings, metrics)
        if not settings.release_id:
            follower = stack.enter_context(closing(Follower(settings, releases, open_engine, metrics)))
            await stack.enter_async_context(_running(follower.follow()))
        await _triton_serves(releases, settings)
        await health.set_all(serving=True)
        yield Gateway(port, metrics_port, settings, releases, metrics, health, server)


async def _open_tracing(stack: AsyncExitStack, metrics: Metrics) -> Tracing:
    if not has_collector(os.environ):
        return OFF
    from shopfuse_gateway.telemetry.span_export import SpanExport

    export = SpanExport(metrics)
    stack.push_async_callback(asyncio.to_thread, export.close)  # it may wait for the collector
    return export.tracing


def _stable(settings: Settings) -> str:
    if not (stable := read_channels(settings.workspace).stable):
        raise ReleaseError(f"{settings.paths.releases}: nothing is published yet; build a release and publish it first")
    return stable


def _engine_opener(stack: AsyncExitStack, settings: Settings, metrics: Metrics, tracing: Tracing) -> OpenEngine:
    """Opens what all releases share; gives the function that opens one release over it, in any thread."""
    store = _open_store(stack, settings.paths.store)
    if tracing is not OFF:
        store = TracedStore(store, tracing)
    triton = TritonClient(settings.triton, settings.breaker_failures, settings.breaker_retry_s, metrics, tracing)
    stack.push_async_callback(triton.close)
    threads = stack.enter_context(ThreadPoolExecutor(settings.recall_threads, "recall"))
    decoders = stack.enter_context(ThreadPoolExecutor(settings.image_threads, "images"))
    key = read_key(settings.page_token_key_file)

    def open_engine(release_id: str, held: Sequence[LoadedRelease]) -> Engine:
        release = LoadedRelease.open(settings.workspace, release_id, settings.public_key_file, held)
        queries: QueryCache[EncodedQuery] = QueryCache(settings.query_cache, metrics)
        images: QueryCache[EncodedImage] = QueryCache(settings.query_cache, metrics, "image")
        tokens = PageTokens(key, release_id, release.manifest.items)
        return Engine(settings, release, store, triton, queries, images, threads, decoders, tokens, metrics)

    return open_engine


async def _triton_serves(releases: Releases, settings: Settings) -> None:
    """Returns when Triton serves the stable release, or after triton_within_s: a fleet without Triton must not stay
    away, but a replica that only starts before its Triton must not answer degraded beside others that are whole."""
    give_up = time.monotonic() + settings.triton_within_s
    while missing := await _missing_models(releases):
        if time.monotonic() >= give_up:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    for model in missing:
        log.error("answers are degraded: Triton at %s does not serve %s", settings.triton, model)


async def _missing_models(releases: Releases) -> list[str]:
    engine = releases.engine(releases.channels.stable)
    return await not_served(engine.triton, engine.release.models)


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs it beside the block, and cancels it at its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _open_store(stack: AsyncExitStack, path: Path) -> FeatureStore:
    try:
        return stack.enter_context(LmdbStore.open(path))
    except StoreError as error:
        log.error("answers are degraded: %s", error)
        return MissingStore(str(error))


async def _make_server(
    stack: AsyncExitStack, settings: Settings, answering: Answering, metrics: Metrics, tracing: Tracing
) -> tuple[grpc.aio.Server, Health]:
    lag = LoopLag()
    stack.callback(lag.stop)
    admission = Admission(settings.max_in_flight, settings.max_lag_s, lag, metrics)
    # Only workers share a port: two gateways that did so by accident would each answer half of the calls.
    options = (*OPTIONS, ("grpc.so_reuseport", int(settings.workers > 1)))
    interceptor = Interceptor(metrics, admission, METHODS, tracing, settings.slow_s)
    server = grpc.aio.server(interceptors=[interceptor], options=options)
    search_pb2_grpc.add_SearchServiceServicer_to_server(SearchService(answering), server)
    recommendation_pb2_grpc.add_RecommendationServiceServicer_to_server(RecommendationService(answering), server)
    text_pb2_grpc.add_TextServiceServicer_to_server(TextService(answering), server)
    completion_pb2_grpc.add_CompletionServiceServicer_to_server(CompletionService(answering), server)
    names = [service.full_name for service in SERVICES]
    health = Health(names)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    _add_reflection(server, [*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name])
    return server, health


def _add_reflection(server: grpc.aio.Server, names: Sequence[str]) -> None:
    """As v1alpha, which grpcio-reflection has, and as v1, which newer tools ask first: the same messages under another
    name."""
    proto = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(proto)
    described = json_format.MessageToJson(proto).replace(*REFLECTION)
    pool: Any = descriptor_pool.Default()  # type: ignore[no-untyped-call]
    pool.Add(json_format.Parse(described, descriptor_pb2.FileDescriptorProto()))
    service = reflection.SERVICE_NAME.replace(*REFLECTION)
    servicer = reflection.aio.ReflectionServicer([*names, reflection.SERVICE_NAME, service], pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": handler}),))


def _listen(server: grpc.aio.Server, settings: Settings) -> int:
    address = host_port(settings.host, settings.grpc_port)
    try:
        port = int(server.add_insecure_port(address))
    except RuntimeError as error:
        raise SettingsError(f"grpc_port: cannot listen on {address}") from error
    if port == 0:
        raise SettingsError(f"grpc_port: cannot listen on {address}")
    return port


def _serve_metrics(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> int:
    try:
        return stack.enter_context(serve_metrics(settings.host, settings.metrics_port, metrics.registry))
    except OSError as error:
        address = host_port(settings.host, settings.metrics_port)
        raise SettingsError(f"metrics_port: cannot listen on {address} ({error.strerror})") from error
