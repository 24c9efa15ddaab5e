"""`shopfuse bench`: what the gateway costs, beside the same Triton calls made without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

import psutil
import typer
from google.protobuf.message import Message

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.loadtest.requests import rank_requests, search_requests
from shopfuse.local.recorded_calls import record_calls
from shopfuse.local.stack import StackOptions, local_stack
from shopfuse_gateway.pipeline.request import RankingRequest, from_rank, from_search
from shopfuse_gateway.triton.client import METHOD as TRITON_METHOD

app = typer.Typer(no_args_is_help=True, help="Measure latency and throughput on this machine.", rich_markup_mode=None)

RANK_METHOD = "/shopfuse.v1.RecommendationService/RankItems"
SEARCH_METHOD = "/shopfuse.v1.SearchService/Search"
COLUMNS = ("name", "requests_per_s", "p50_ms", "p99_ms", "errors")
Row = dict[str, object]
RequestT = TypeVar("RequestT", bound=Message)

SecondsOption = Annotated[float, typer.Option(min=0.5, help="Measured seconds of each row, after one of warm-up.")]
CandidatesOption = Annotated[int, typer.Option(min=1, max=512, help="Candidates of each request.")]
ClientsOption = Annotated[int, typer.Option(min=2, help="Calls in flight in the throughput rows.")]
QueryOption = Annotated[str, typer.Option(help="Words that the candidates are ranked for; default: none.")]


@dataclass(frozen=True, slots=True)
class Result:
    rows: list[Row]  # (gateway, Triton) with one client, then with several
    calls_each: float  # Triton calls behind a request
    cpu_ms: float  # of the gateway's process for each request, with several clients

    def summary(self) -> dict[str, object]:
        speeds = [float(str(row["requests_per_s"])) for row in self.rows]
        medians = [float(str(row["p50_ms"])) for row in self.rows]
        return {
            "triton_calls_per_request": self.calls_each,
            "gateway_added_p50_ms": medians[0] - self.calls_each * medians[1],
            "throughput_share_of_triton": speeds[2] * self.calls_each / max(speeds[3], 1e-9),
            "gateway_cpu_ms_per_request": self.cpu_ms,
        }


@app.command()
def rank(
    workspace: WorkspaceOption,
    candidates: CandidatesOption = 100,
    query: QueryOption = "",
    clients: ClientsOption = 8,
    seconds: SecondsOption = 5.0,
    json: JsonOption = False,
) -> None:
    """RankItems through the gateway, and the Triton calls behind it made directly, with 1 client and with several.

    All run on this machine and share its cores: on two of them the load generator, the gateway and Triton wait for
    each other, so compare rows of one run, not runs. Impressions are not logged.
    """
    requests = rank_requests(workspace, candidates, query)
    _report("RankItems", _measure(workspace, RANK_METHOD, requests, from_rank, (1, clients), seconds), json)


@app.command()
def search(
    workspace: WorkspaceOption, clients: ClientsOption = 8, seconds: SecondsOption = 5.0, json: JsonOption = False
) -> None:
    """Search, first pages of 20, beside the Triton calls behind it made directly; the queries are encoded already.

    As in `bench rank`, all share this machine's cores. Impressions are not logged.
    """
    requests = search_requests(workspace)
    _report("Search", _measure(workspace, SEARCH_METHOD, requests, from_search, (1, clients), seconds), json)


def _measure(
    workspace: Path,
    method: str,
    requests: Sequence[RequestT],
    form: Callable[[RequestT], RankingRequest],
    clients: tuple[int, int],
    seconds: float,
) -> Result:
    with progress_bars() as progress, local_stack(workspace, StackOptions(log_impressions=False), progress) as stack:
        ends = stack.endpoints
        calls = asyncio.run(record_calls(workspace, ends.triton_grpc, [form(request) for request in requests]))
        gateway = Load(ends.grpc, method, tuple(request.SerializeToString() for request in requests), 1, seconds)
        direct = Load(ends.triton_grpc, TRITON_METHOD, tuple(part for parts in calls for part in parts), 1, seconds)
        return _compare(gateway, direct, clients, psutil.Process(stack.gateway.pid), progress)


def _compare(
    gateway: Load, direct: Load, clients: tuple[int, int], process: psutil.Process, progress: Progress
) -> Result:
    rows: list[Row] = []
    cpu_ms = 0.0
    for count in clients:
        progress("measure", len(rows), 2 * len(clients))
        before = _cpu_seconds(process)
        through = run_load(replace(gateway, clients=count))
        cpu_ms = (_cpu_seconds(process) - before) * 1e3 / max(through.sent, 1)
        bare = run_load(replace(direct, clients=count))
        suffix = f"{count} client{'s' * (count > 1)}"
        rows += [through.row(f"gateway, {suffix}"), bare.row(f"Triton directly, {suffix}")]
    return Result(rows, len(direct.requests) / len(gateway.requests), cpu_ms)


def _cpu_seconds(process: psutil.Process) -> float:
    """Of all its threads so far."""
    times = process.cpu_times()
    return times.user + times.system


def _report(title: str, result: Result, as_json: bool) -> None:
    summary = result.summary()
    if as_json:
        print_json({"rows": result.rows, **summary})
        return
    print_table(title, COLUMNS, [[row[column] for column in COLUMNS] for row in result.rows])
    out.print(
        f"gateway adds {summary['gateway_added_p50_ms']:.2f} ms at the median; its throughput is "
        f"{summary['throughput_share_of_triton']:.2f} of Triton's own; {result.calls_each:.1f} Triton calls a request"
    )
    out.print(f"a request takes {result.cpu_ms:.2f} ms of processor time in the gateway")
