"""What the gateway costs: requests through it, and the Triton calls behind them made without it, in one run.

Both run on this machine, beside the load generator: rows of one run can be compared, runs cannot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from shopfuse.core.progress import Progress, silent
from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.local.stack import StackOptions, local_stack
from shopfuse.v1.recommendation_pb2 import RankItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.pipeline.call import Call, Deadline
from shopfuse_gateway.pipeline.flow import answer
from shopfuse_gateway.pipeline.request import RankingRequest, from_rank, from_search
from shopfuse_gateway.server import open_gateway
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.impression_log import ImpressionLog
from shopfuse_gateway.telemetry.request_trace import RequestTrace
from shopfuse_gateway.triton.client import METHOD as TRITON_METHOD
from shopfuse_gateway.triton.client import TritonClient
from shopfuse_gateway.triton.served_model import Arrays, ServedModel

READERS: dict[type, Callable[[Any], RankingRequest]] = {RankItemsRequest: from_rank, SearchRequest: from_search}

METHODS: dict[type, str] = {
    RankItemsRequest: "/shopfuse.v1.RecommendationService/RankItems",
    SearchRequest: "/shopfuse.v1.SearchService/Search",
}


@dataclass(frozen=True, slots=True)
class GatewayCost:
    rows: list[dict[str, object]]  # (gateway, Triton) with one client, then with several
    calls_each: float  # Triton calls behind a request
    cpu_ms: float  # of the gateway's process for each request, with several clients

    def summary(self) -> dict[str, float]:
        speeds = [float(str(row["requests_per_s"])) for row in self.rows]
        medians = [float(str(row["p50_ms"])) for row in self.rows]
        return {
            "triton_calls_per_request": self.calls_each,
            "gateway_added_p50_ms": medians[0] - self.calls_each * medians[1],
            "throughput_share_of_triton": speeds[2] * self.calls_each / max(speeds[3], 1e-9),
            "gateway_cpu_ms_per_request": self.cpu_ms,
        }


def gateway_cost(
    workspace: Path,
    requests: Sequence[RankItemsRequest | SearchRequest],
    clients: int,
    seconds: float,
    progress: Progress = silent,
) -> GatewayCost:
    """Serves the workspace and sends requests of one kind, by 1 client and by `clients`; impressions are not logged."""
    with local_stack(workspace, StackOptions(log_impressions=False), progress) as stack:
        ends, method = stack.endpoints, METHODS[type(requests[0])]
        calls = record_calls(workspace, ends.triton_grpc, requests)
        gateway = Load(ends.grpc, method, tuple(request.SerializeToString() for request in requests), 1, seconds)
        direct = Load(ends.triton_grpc, TRITON_METHOD, tuple(part for parts in calls for part in parts), 1, seconds)
        return compare_loads(gateway, direct, (1, clients), stack.gateway.pid, progress)


def compare_loads(
    gateway: Load, direct: Load, clients: tuple[int, int], pid: int, progress: Progress = silent
) -> GatewayCost:
    """Each load in turn with each number of clients. `pid` is the process that answers the gateway's load."""
    process = psutil.Process(pid)
    rows: list[dict[str, object]] = []
    cpu_ms = 0.0
    for count in clients:
        progress("measure", len(rows), 2 * len(clients))
        before = _cpu_seconds(process)
        through = run_load(replace(gateway, clients=count))
        cpu_ms = (_cpu_seconds(process) - before) * 1e3 / max(through.sent, 1)
        bare = run_load(replace(direct, clients=count))
        suffix = f"{count} client{'s' * (count > 1)}"
        rows += [through.row(f"gateway, {suffix}"), bare.row(f"Triton directly, {suffix}")]
    return GatewayCost(rows, len(direct.requests) / len(gateway.requests), cpu_ms)


def _cpu_seconds(process: psutil.Process) -> float:
    """Of all its threads so far."""
    times = process.cpu_times()
    return times.user + times.system


def record_calls(
    workspace: Path, triton: str, requests: Sequence[RankItemsRequest | SearchRequest]
) -> list[list[bytes]]:
    """For each request, the serialised ModelInferRequests that answering it takes, in order.

    All are made twice and recorded the second time: a running gateway has its queries encoded.
    """
    return asyncio.run(_record(workspace, triton, [READERS[type(request)](request) for request in requests]))


async def _record(workspace: Path, triton: str, requests: Sequence[RankingRequest]) -> list[list[bytes]]:
    settings = Settings(workspace, triton, log_impressions=False)
    async with open_gateway(settings) as gateway:
        recorded = []
        for request in (*requests, *requests):
            recorder = Recorder(gateway.engine.triton)
            engine = replace(gateway.engine, triton=recorder)  # type: ignore[arg-type]
            deadline = Deadline.start(None, 5.0, 0.0)
            await answer(
                engine, Call(request, deadline, RequestTrace(engine.metrics)), ImpressionLog(None, engine.metrics)
            )
            recorded.append(recorder.calls)
        return recorded[len(requests) :]


class Recorder:
    """Passes calls on to Triton and keeps their bytes."""

    def __init__(self, triton: TritonClient) -> None:
        self._triton = triton
        self.calls: list[bytes] = []

    async def infer(
        self, model: ServedModel, arrays: Arrays, axes: Mapping[str, int], timeout_s: float
    ) -> dict[str, NDArray[np.float32]]:
        self.calls.append(model.request(arrays, axes))
        return await self._triton.infer(model, arrays, axes, timeout_s)
