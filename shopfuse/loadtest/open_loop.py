"""Open-loop loads: requests at a fixed rate whatever the answers take, in a process of its own.

`steady_load` sends searches at even distances and notes for each when it was sent, how it ended, and which release says
it answered: what a rollout must not harm. `poisson_load` sends bytes of any method as many callers do who know nothing
of each other, and notes how long each waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import grpc
import numpy as np
import uvloop

from shopfuse.loadtest.closed_loop import Load, LoadResult, connections
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse.v1.search_pb2_grpc import SearchServiceStub


@dataclass(frozen=True, slots=True)
class Front:
    """Where requests go, and what they show there."""

    address: str
    authority: bytes = b""  # PEM: over TLS, the server's certificate checked against it; empty: without TLS
    metadata: tuple[tuple[str, str], ...] = ()  # of every call

    def channel(self) -> grpc.aio.Channel:
        if self.authority:
            return grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(self.authority))
        return grpc.aio.insecure_channel(self.address)


@dataclass(frozen=True, slots=True)
class SteadyLoad:
    front: Front
    requests: tuple[bytes, ...]  # serialised SearchRequests, sent in turn
    per_s: float
    seconds: float
    timeout_s: float = 2.0
    until: Path | None = None  # the load ends earlier, as soon as this file is there


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """One call. `release`, `versions` and `tasks` are what the answer says of itself; empty where it failed."""

    sent_at: float  # time.time()
    latency_s: float
    status: str
    user: str
    release: str
    versions: tuple[tuple[str, int], ...]
    tasks: tuple[str, ...]
    degraded: bool


async def _observe(stub: SearchServiceStub, request: SearchRequest, load: SteadyLoad) -> ObservedCall:
    sent_at, started = time.time(), time.perf_counter()
    try:
        answer = await stub.Search(request, timeout=load.timeout_s, metadata=load.front.metadata)
        status = "OK"
    except grpc.aio.AioRpcError as error:
        answer, status = SearchResponse(), error.code().name
    served_by = answer.served_by
    return ObservedCall(
        sent_at,
        time.perf_counter() - started,
        status,
        request.user_id,
        served_by.release_id,
        tuple(sorted(served_by.model_versions.items())),
        tuple(sorted({task for item in answer.items for task in item.task_scores})),
        answer.degraded,
    )


async def _run(load: SteadyLoad) -> list[ObservedCall]:
    requests = [SearchRequest.FromString(request) for request in load.requests]
    calls: list[asyncio.Task[ObservedCall]] = []
    # The channel closes after the group: the last calls are answered first.
    async with load.front.channel() as channel, asyncio.TaskGroup() as group:
        stub = SearchServiceStub(channel)
        await channel.channel_ready()
        began = asyncio.get_running_loop().time()
        for turn in range(round(load.per_s * load.seconds)):
            if load.until and load.until.exists():
                break
            await asyncio.sleep(max(0.0, began + turn / load.per_s - asyncio.get_running_loop().time()))
            calls.append(group.create_task(_observe(stub, requests[turn % len(requests)], load)))
    return [call.result() for call in calls]


def _in_process(load: SteadyLoad) -> list[ObservedCall]:
    observed: list[ObservedCall] = uvloop.run(_run(load))
    return observed


@contextmanager
def steady_load(load: SteadyLoad) -> Iterator[Future[list[ObservedCall]]]:
    """The load runs while the block does something else; what was observed is in the future."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(_in_process, load)


async def _send(call: grpc.aio.UnaryUnaryMultiCallable, turn: int, load: Load, due: float, kept: _Kept | None) -> None:
    """What it takes counts from when it was due, so that waiting for a late sender counts too."""
    try:
        await call(load.requests[turn % len(load.requests)], timeout=load.timeout_s, metadata=load.metadata)
        if kept is not None:
            kept.latencies_s.append(time.perf_counter() - due)
    except grpc.aio.AioRpcError as error:
        if kept is not None:
            kept.errors[error.code().name] += 1


@dataclass(frozen=True, slots=True)
class _Kept:
    """Numbers alone: tasks that are kept make the sender's collector of garbage stop it for milliseconds."""

    latencies_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


async def _run_poisson(load: Load, per_s: float, seed: int) -> LoadResult:
    draw, kept, turn = np.random.default_rng(seed), _Kept(), 0
    async with connections(load) as channels, asyncio.TaskGroup() as group:
        methods = [channel.unary_unary(load.method) for channel in channels]
        began = due = time.perf_counter()
        counted = began + load.warm_up_s
        while (due := due + draw.exponential(1 / per_s)) < counted + load.seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(_send(methods[turn % len(methods)], turn, load, due, kept if due >= counted else None))
            turn += 1
    return LoadResult(tuple(kept.latencies_s), dict(kept.errors), load.seconds, turn)


def _poisson_in_process(load: Load, per_s: float, seed: int) -> LoadResult:
    result: LoadResult = uvloop.run(_run_poisson(load, per_s, seed))
    return result


def poisson_load(load: Load, per_s: float, seed: int = 0) -> LoadResult:
    """`per_s` calls a second on average, at distances drawn from an exponential distribution, over as many connections
    as the load has clients."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_poisson_in_process, load, per_s, seed).result()
