"""What Envoy costs before a gateway: searches sent directly, through it, with TLS, with tokens, with traces.

    python benchmarks/edge.py demo              # a workspace with a release; served for the time of the run

First before a gateway that answers at once, which shows Envoy's own cost, then before the shop's: with one client and
with several, in rounds that take every way in turn, forth and back, so that all of them see the machine's good and bad
moments. A row has the medians. Traces: Envoy and a second gateway on the same Triton send a collector 1 % of
the requests, as they do by default. Client, Envoy, gateway and Triton share the cores. Run it from a checkout.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.tracing import idle_collector, running_gateway
from shopfuse.cli.console import print_json, print_table
from shopfuse.loadtest.closed_loop import Load, LoadResult, run_load
from shopfuse.loadtest.open_loop import Front
from shopfuse.loadtest.requests import search_requests
from shopfuse.local.stack import StackOptions, local_stack
from tests.edge.edges import backend, bearer, edge
from tests.edge.identities import Authority, Issuer, write_keys, write_pair
from tests.edge.test_clients import JWT, TLS

METHOD = "/shopfuse.v1.SearchService/Search"
COLUMNS = ("name", "requests_per_s", "of_direct", "p50_ms", "p99_ms", "errors")
ALL = "Envoy, TLS, JWT, traces"
WAYS = {"Envoy": "", "Envoy, TLS": TLS, "Envoy, TLS, JWT": TLS + JWT, ALL: TLS + JWT}


def ways(stack: ExitStack, folder: Path, gateways: Mapping[bool, Front], collector: str, load: Load) -> dict[str, Load]:
    """Name -> the load, each through an Envoy of its own. `gateways`: the one that is traced (True), and the other."""
    authority, issuer = Authority(), Issuer()
    loads = {"direct": load}
    for name, extra in WAYS.items():
        at = folder / name
        (at / "jwks").mkdir(parents=True)
        write_pair(at / "tls", authority.issue("edge"))
        write_keys(at / "jwks" / "jwks.json", issuer)
        traces = f'[traces]\ncollector = "{collector.removeprefix("http://")}"\n' if name == ALL else ""
        settings = f"{extra}{traces}[limits]\ntotal_per_s = 1000000\n"
        running = stack.enter_context(edge(at, [gateways[name == ALL]], settings))
        loads[name] = replace(
            load,
            address=running.address,
            authority=authority.pem if "TLS" in name else b"",
            metadata=bearer(issuer.token()) if "JWT" in name else (),
        )
    return loads


def measure(workspace: Path, clients: int, seconds: float, rounds: int) -> list[dict[str, object]]:
    requests = tuple(request.SerializeToString() for request in search_requests(workspace))
    with ExitStack() as stack:
        collector = stack.enter_context(idle_collector())
        empty = Front(stack.enter_context(backend("empty")).address)
        before_nothing = {False: empty, True: empty}
        rows = through(before_nothing, collector, requests, "empty gateway", (1, clients), seconds, rounds)
        served = stack.enter_context(local_stack(workspace, StackOptions(log_impressions=False))).endpoints
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        traced = stack.enter_context(running_gateway("traced", workspace, served.triton_grpc, variables))
        gateways = {False: Front(served.grpc), True: Front(traced.address)}
        return rows + through(gateways, collector, requests, "shop", (1, clients), seconds, rounds)


def through(
    gateways: Mapping[bool, Front],
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
        loads = ways(stack, folder, gateways, collector, direct)
        for count in clients:
            results: dict[str, list[LoadResult]] = {name: [] for name in loads}
            for turn in range(rounds):
                for name in list(loads) if turn % 2 else list(reversed(loads)):
                    results[name].append(run_load(replace(loads[name], clients=count)))
            rows += _medians(f"{title}, {count} client{'s' * (count > 1)}", results)
    return rows


def _medians(title: str, results: Mapping[str, list[LoadResult]]) -> list[dict[str, object]]:
    """Of the rounds; `of_direct`: of the ratios within each round."""
    rows = []
    for name, ours in results.items():
        told, direct = [one.row("") for one in ours], [one.row("") for one in results["direct"]]
        rates = [[float(str(row["requests_per_s"])) for row in rows] for rows in (told, direct)]
        ratios = [one / other for one, other in zip(*rates, strict=True)]
        numbers = {key: median(float(str(row[key])) for row in told) for key in ("requests_per_s", "p50_ms", "p99_ms")}
        errors = sum(int(str(row["errors"])) for row in told)
        rows.append({"name": f"{title}: {name}", "of_direct": median(ratios), "errors": errors, **numbers})
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
