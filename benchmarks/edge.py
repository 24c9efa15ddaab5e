"""What Envoy costs before a gateway: searches sent directly, through it, with TLS, with TLS and tokens.

    python benchmarks/edge.py demo              # a workspace with a release; served for the time of the run

First before a gateway that answers at once, which shows Envoy's own cost, then before the shop's. Each way is measured
on the way there and on the way back, with one client and with several, so that a machine that became faster or slower
meanwhile shows. Client, Envoy, gateway and Triton share the cores. Run it from a checkout.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from shopfuse.cli.console import print_json, print_table
from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.loadtest.requests import search_requests
from shopfuse.local.stack import StackOptions, local_stack
from tests.edge.edges import Backend, backend, bearer, edge
from tests.edge.identities import Authority, Issuer, write_keys, write_pair
from tests.edge.test_clients import JWT, TLS

METHOD = "/shopfuse.v1.SearchService/Search"
COLUMNS = ("name", "requests_per_s", "p50_ms", "p99_ms", "errors")


def ways(stack: ExitStack, folder: Path, gateway: Backend, load: Load) -> dict[str, Load]:
    """Name -> the load, each through an Envoy of its own."""
    authority, issuer = Authority(), Issuer()
    loads = {"direct": load}
    for name, extra in {"Envoy": "", "Envoy, TLS": TLS, "Envoy, TLS, JWT": TLS + JWT}.items():
        at = folder / name
        (at / "jwks").mkdir(parents=True)
        write_pair(at / "tls", authority.issue("edge"))
        write_keys(at / "jwks" / "jwks.json", issuer)
        running = stack.enter_context(edge(at, [gateway], f"{extra}[limits]\ntotal_per_s = 1000000\n"))
        loads[name] = replace(
            load,
            address=running.address,
            authority=authority.pem if "TLS" in name else b"",
            metadata=bearer(issuer.token()) if "JWT" in name else (),
        )
    return loads


def measure(workspace: Path, clients: int, seconds: float) -> list[dict[str, object]]:
    requests = tuple(request.SerializeToString() for request in search_requests(workspace))
    with ExitStack() as stack:
        empty = stack.enter_context(backend("empty"))
        rows = through(empty, requests, "empty gateway", (1, clients), seconds)
    with local_stack(workspace, StackOptions(log_impressions=False)) as served:
        gateway = Backend("gateway", int(served.endpoints.grpc.rpartition(":")[2]), served.gateway)
        return rows + through(gateway, requests, "shop", (1, clients), seconds)


def through(
    gateway: Backend, requests: tuple[bytes, ...], title: str, clients: tuple[int, ...], seconds: float
) -> list[dict[str, object]]:
    """A row for each way, number of clients and turn."""
    rows: list[dict[str, object]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        loads = ways(stack, folder, gateway, Load(gateway.address, METHOD, requests, 1, seconds))
        for count in clients:
            for turn, names in (("before", list(loads)), ("after", list(reversed(loads)))):
                for name in names:
                    result = run_load(replace(loads[name], clients=count))
                    rows.append(result.row(f"{title}, {count} client{'s' * (count > 1)}, {turn}: {name}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.workspace, options.clients, options.seconds)
    if options.json:
        print_json({"rows": rows})
    else:
        print_table("Search through the edge", COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


if __name__ == "__main__":
    main()
