"""What tracing costs: the same requests through gateways that differ in their OTEL_* variables alone, side by side.

    python benchmarks/tracing.py -w demo --rounds 25

One Triton serves all. In each round every gateway gets a hundred requests, one after the other, in a new order of the
gateways: so all of them see the machine's good and bad moments. CPU is of the gateway's process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
import psutil

from shopfuse.loadtest.gateway_cost import METHODS
from shopfuse.loadtest.requests import rank_requests, search_requests
from shopfuse.local.stack import StackOptions, local_stack

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
NOBODY = "http://127.0.0.1:1"
SLICE = 100  # requests of a gateway's turn
WARM_UP = 2  # rounds: queries are encoded, models warm
TIMEOUT_S = 20.0
REQUESTS = {
    "RankItems": lambda workspace: rank_requests(workspace, 100),
    "Search": search_requests,
}


@dataclass(frozen=True)
class Running:
    name: str
    address: str
    process: psutil.Process

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workspace", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    with ExitStack() as stack:
        collector = stack.enter_context(idle_collector())
        variables = {
            "not traced": {},
            "1 % of requests, the default": {"OTEL_EXPORTER_OTLP_ENDPOINT": collector},
            "every request": {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_TRACES_SAMPLER": "always_on"},
            "every request, no collector": {"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY, "OTEL_TRACES_SAMPLER": "always_on"},
        }
        served = stack.enter_context(local_stack(options.workspace, StackOptions(log_impressions=False)))
        triton = served.endpoints.triton_grpc
        gateways = [
            stack.enter_context(running_gateway(name, options.workspace, triton, chosen))
            for name, chosen in variables.items()
        ]
        for kind in REQUESTS:
            _compare(kind, gateways, options)


def _compare(kind: str, gateways: list[Running], options: argparse.Namespace) -> None:
    messages = REQUESTS[kind](options.workspace)
    requests = [message.SerializeToString() for message in messages]
    calls = [grpc.insecure_channel(gateway.address).unary_unary(METHODS[type(messages[0])]) for gateway in gateways]
    took_ms: list[list[float]] = [[] for _ in gateways]
    cpu_ms = [0.0 for _ in gateways]
    for turn in range(WARM_UP + options.rounds):
        for at in random.sample(range(len(gateways)), len(gateways)):
            before = gateways[at].cpu_s()
            taken = [_took_ms(calls[at], requests[(turn * SLICE + one) % len(requests)]) for one in range(SLICE)]
            if turn >= WARM_UP:
                took_ms[at] += taken
                cpu_ms[at] += (gateways[at].cpu_s() - before) * 1e3 / (SLICE * options.rounds)
    for at, gateway in enumerate(gateways):
        p50, base = median(took_ms[at]), median(took_ms[0])
        told = f"p50 {p50:6.2f} ms, x {p50 / base:.3f}; CPU {cpu_ms[at]:5.2f} ms, x {cpu_ms[at] / cpu_ms[0]:.3f}"
        print(f"{kind:>9}, {gateway.name:<28}: {told}", flush=True)


def _took_ms(call: Callable[..., bytes], request: bytes) -> float:
    began = time.perf_counter()
    call(request, timeout=TIMEOUT_S)
    return (time.perf_counter() - began) * 1e3


@contextmanager
def running_gateway(name: str, workspace: Path, triton: str, variables: Mapping[str, str]) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder) / "ready.json", Path(folder) / "log"
        command = (sys.executable, "-m", "shopfuse_gateway", "--workspace", str(workspace), "--triton", triton)
        options = ("--no-log-impressions", "--drain-s", "0.1", "--ready-file", str(ready))
        with (
            log.open("wb") as file,
            subprocess.Popen((*command, *options), env={**os.environ, **variables}, stderr=file) as process,
        ):
            try:
                while not ready.exists():
                    assert process.poll() is None, log.read_text()
                    time.sleep(0.05)
                yield Running(name, f"127.0.0.1:{json.loads(ready.read_text())['grpc']}", psutil.Process(process.pid))
            finally:
                process.terminate()


@contextmanager
def idle_collector() -> Iterator[str]:
    """The address of a collector that takes spans and forgets them."""
    taken = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    service, method = EXPORT.strip("/").split("/")
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: taken})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


if __name__ == "__main__":
    main()
