"""An open-loop load: requests at a fixed rate whatever the answers take, in a process of its own.

It notes for each call when it was sent, how it ended, and which release says it answered: what a rollout must not harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import grpc
import uvloop

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
