"""What Envoy costs before a gateway: searches sent directly, through it, with TLS, with tokens, with traces.

    python benchmarks/edge.py demo              # a workspace with a release; served for the time of the run

First before a gateway that answers at once, which shows Envoy's own cost, then before the shop's: with one client and
with several, in rounds that take every way in turn, forth and back, so that all of them see the machine's good and bad
moments. A row has the medians; `envoy_ms` and `behind_ms` are the processor time of a request in Envoy, and in the
gateway and Triton. Traces: Envoy and a second gateway on the same Triton send a collector 1 % of the requests, as they
do by default. Client, Envoy, gateway and Triton share the cores. Run it from a checkout.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.footprint import with_children
from benchmarks.tracing import idle_collector, running_gateway
from shopfuse.cli.console import print_json, print_table
from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.loadtest.requests import search_requests
from shopfuse.local.stack import StackOptions, local_stack
from tests.edge.edges import backend, bearer, edge
from tests.edge.identities import Authority, Issuer, write_keys, write_pair
from tests.edge.test_clients import JWT, TLS

METHOD = "/shopfuse.v1.SearchService/Search"
NUMBERS = ("requests_per_s", "p50_ms", "p99_ms", "envoy_ms", "behind_ms")
COLUMNS = ("name", "of_direct", *NUMBERS, "errors")
CHECK_EVERY_S = 2.0  # the default: of health, which costs the gateway too
ALL = "Envoy, TLS, JWT, traces"
WAYS = {"Envoy": "", "Envoy, TLS": TLS, "Envoy, TLS, JWT": TLS + JWT, ALL: TLS + JWT}


@dataclass(frozen=True)
class Gateway:
    address: str
    processes: Sequence[psutil.Process]  # its own and Triton's


@dataclass(frozen=True)
class Way:
    load: Load
    envoy: Sequence[psutil.Process]
    behind: Sequence[psutil.Process]

    def measure(self, clients: int) -> dict[str, float]:
        """Of one run. Processor time is of all of it, warm-up included."""
        before = cpu_ms(self.envoy), cpu_ms(self.behind)
        result = run_load(replace(self.load, clients=clients))
        row = {name: float(str(value)) for name, value in result.row("").items() if name != "name"}
        row["envoy_ms"] = (cpu_ms(self.envoy) - before[0]) / result.sent
        row["behind_ms"] = (cpu_ms(self.behind) - before[1]) / result.sent
        return row


def cpu_ms(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(1e3 * (each.user + each.system) for each in times)


def ways(
    stack: ExitStack, folder: Path, gateways: Mapping[bool, Gateway], collector: str, load: Load
) -> dict[str, Way]:
    """Each through an Envoy of its own. `gateways`: the one that is traced (True), and the other."""
    authority, issuer = Authority(), Issuer()
    found = {"direct": Way(load, (), gateways[False].processes)}
    for name, extra in WAYS.items():
        at = folder / name
        (at / "jwks").mkdir(parents=True)
        write_pair(at / "tls", authority.issue("edge"))
        write_keys(at / "jwks" / "jwks.json", issuer)
        gateway = gateways[name == ALL]
        traces = f'[traces]\ncollector = "{collector.removeprefix("http://")}"\n' if name == ALL else ""
        settings = f"{extra}{traces}[limits]\ntotal_per_s = 1000000\n"
        running = stack.enter_context(edge(at, [gateway], settings, CHECK_EVERY_S))
        through = replace(
            load,
            address=running.address,
            authority=authority.pem if "TLS" in name else b"",
            metadata=bearer(issuer.token()) if "JWT" in name else (),
        )
        found[name] = Way(through, [psutil.Process(running.envoy.process.pid)], gateway.processes)
    return found


def measure(workspace: Path, clients: int, seconds: float, rounds: int) -> list[dict[str, object]]:
    requests = tuple(request.SerializeToString() for request in search_requests(workspace))
    with ExitStack() as stack:
        collector = stack.enter_context(idle_collector())
        nothing = stack.enter_context(backend("empty"))
        empty = Gateway(nothing.address, [psutil.Process(nothing.process.pid)])
        before_nothing = {False: empty, True: empty}
        rows = through(before_nothing, collector, requests, "empty gateway", (1, clients), seconds, rounds)
        served = stack.enter_context(local_stack(workspace, StackOptions(log_impressions=False)))
        assert served.triton is not None
        triton = with_children(served.triton.pid)
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        traced = stack.enter_context(running_gateway("traced", workspace, served.endpoints.triton_grpc, variables))
        gateways = {
            False: Gateway(served.endpoints.grpc, [psutil.Process(served.gateway.pid), *triton]),
            True: Gateway(traced.address, [traced.process, *triton]),
        }
        return rows + through(gateways, collector, requests, "shop", (1, clients), seconds, rounds)


def through(
    gateways: Mapping[bool, Gateway],
    collector: str,
    requests: tuple[bytes, ...],
    title: str,
    clients: tuple[int, ...],
    seconds: float,
    rounds: int,
) -> list[dict[str, object]]:
    """A row for each way and number of clients."""
    rows: list[dict[str, object]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        direct = Load(gateways[False].address, METHOD, requests, 1, seconds)
        taken = ways(stack, folder, gateways, collector, direct)
        for count in clients:
            results: dict[str, list[dict[str, float]]] = {name: [] for name in taken}
            for turn in range(rounds):
                for name in list(taken) if turn % 2 else list(reversed(taken)):
                    results[name].append(taken[name].measure(count))
            rows += _medians(f"{title}, {count} client{'s' * (count > 1)}", results)
    return rows


def _medians(title: str, results: Mapping[str, list[dict[str, float]]]) -> list[dict[str, object]]:
    """Of the rounds; `of_direct`: of the ratios within each round."""
    rows: list[dict[str, object]] = []
    for name, ours in results.items():
        pairs = zip(ours, results["direct"], strict=True)
        of_direct = median(one["requests_per_s"] / other["requests_per_s"] for one, other in pairs)
        numbers = {number: median(one[number] for one in ours) for number in NUMBERS}
        errors = round(sum(one["errors"] for one in ours))
        rows.append({"name": f"{title}: {name}", "of_direct": of_direct, "errors": errors, **numbers})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each way in each round")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.workspace, options.clients, options.seconds, options.rounds)
    if options.json:
        print_json({"rows": rows})
    else:
        print_table("Search through the edge", COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


if __name__ == "__main__":
    main()
