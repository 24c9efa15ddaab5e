"""What the gateway costs: requests through it, and the Triton calls behind them made without it, in one run.

Both run on this machine, beside the load generator: rows of one run can be compared, runs cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import psutil

from shopfuse.core.progress import Progress, silent
from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.local.recorded_calls import record_calls
from shopfuse.local.stack import StackOptions, local_stack
from shopfuse.v1.recommendation_pb2 import RankItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest

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
        recorded = record_calls(workspace, ends.triton_grpc, requests)
        gateway = Load(ends.grpc, method, tuple(request.SerializeToString() for request in requests), 1, seconds)
        direct = Load(ends.triton_grpc, recorded.method, tuple(chain.from_iterable(recorded.calls)), 1, seconds)
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
