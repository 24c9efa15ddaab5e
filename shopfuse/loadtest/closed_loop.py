"""A closed-loop load generator in a process of its own: serialised requests in, latencies and failures out.

It sends bytes and looks at nothing but the status, so that its own cost stays small beside the
server's. Latencies are of single calls; N clients are N calls in flight over one connection each.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import grpc
import numpy as np
import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: requests in turn to one method, for some seconds."""

    address: str
    method: str  # /package.Service/Method
    requests: tuple[bytes, ...]
    clients: int
    seconds: float
    warm_up_s: float = 1.0
    timeout_s: float = 5.0
    authority: bytes = b""  # PEM: over TLS, the server's certificate checked against it; empty: without TLS
    metadata: tuple[tuple[str, str], ...] = ()  # of every call


@dataclass(frozen=True, slots=True)
class LoadResult:
    latencies_s: tuple[float, ...]
    errors: dict[str, int]  # status code -> count
    seconds: float
    sent: int  # all calls, those of the warm-up and the failed ones among them

    def row(self, name: str) -> dict[str, object]:
        """A row of a benchmark's table."""
        milliseconds = np.array(self.latencies_s or (0.0,)) * 1e3
        return {
            "name": name,
            "requests_per_s": len(self.latencies_s) / self.seconds,
            "p50_ms": float(np.percentile(milliseconds, 50)),
            "p99_ms": float(np.percentile(milliseconds, 99)),
            "errors": sum(self.errors.values()),
        }


async def _client(
    channel: grpc.aio.Channel, load: Load, first: int, began: float
) -> tuple[list[float], Counter[str], int]:
    call = channel.unary_unary(load.method)
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    turn = first
    while (started := time.perf_counter()) < began + load.warm_up_s + load.seconds:
        counted = started >= began + load.warm_up_s
        try:
            await call(load.requests[turn % len(load.requests)], timeout=load.timeout_s, metadata=load.metadata)
            if counted:
                latencies.append(time.perf_counter() - started)
        except grpc.aio.AioRpcError as error:
            if counted:
                errors[error.code().name] += 1
        turn += load.clients
    return latencies, errors, (turn - first) // load.clients


def _channel(load: Load) -> grpc.aio.Channel:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 16 << 20)]
    if load.authority:
        return grpc.aio.secure_channel(load.address, grpc.ssl_channel_credentials(load.authority), options)
    return grpc.aio.insecure_channel(load.address, options)


@asynccontextmanager
async def connections(load: Load) -> AsyncIterator[list[grpc.aio.Channel]]:
    """One for each client."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_channel(load)) for _ in range(load.clients)]


async def _run(load: Load) -> LoadResult:
    async with connections(load) as channels:
        began = time.perf_counter()
        parts = await asyncio.gather(*(_client(channel, load, at, began) for at, channel in enumerate(channels)))
    latencies = tuple(latency for part, _, _ in parts for latency in part)
    errors = dict(sum((errors for _, errors, _ in parts), Counter()))
    return LoadResult(latencies, errors, load.seconds, sum(sent for _, _, sent in parts))


def _in_process(load: Load) -> LoadResult:
    result: LoadResult = uvloop.run(_run(load))
    return result


@contextmanager
def load_in_background(load: Load) -> Iterator[Future[LoadResult]]:
    """The load runs in its own process while the block does something else; the result is in the future."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(_in_process, load)


def run_load(load: Load) -> LoadResult:
    with load_in_background(load) as future:
        return future.result()
