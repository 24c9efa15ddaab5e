"""Edges and what stands behind them, as tests start them: a real Envoy on free ports before small gateways."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc

from shopfuse.edge.local_envoy import Envoy, local_envoy
from shopfuse.edge.settings import read_edge_settings
from shopfuse.v1 import search_pb2, search_pb2_grpc

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 5.0
Metadata = tuple[tuple[str, str], ...]


class Addressed(Protocol):
    @property
    def address(self) -> str: ...


@dataclass(frozen=True)
class Backend:
    name: str
    port: int
    process: subprocess.Popen[Any]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def backend(name: str) -> Iterator[Backend]:
    command = [sys.executable, "-m", "tests.edge.backend", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout
        yield Backend(name, int(process.stdout.readline()), process)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Edge:
    envoy: Envoy
    folder: Path
    triton_port: int
    metrics_port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.envoy.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def counter(self, name: str, manager: str) -> float:
        """A number that Prometheus is shown; `manager`: of which listener, "" for one that has none."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.metrics_port}/stats/prometheus", timeout=TIMEOUT_S
        ) as page:
            text = page.read().decode()
        labels = f'envoy_http_conn_manager_prefix="{manager}"' if manager else ""
        lines = [
            line for line in text.splitlines() if re.match(rf"{re.escape(name)}(?![a-z_])", line) and labels in line
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def log(self) -> list[dict[str, Any]]:
        """The access log so far."""
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


def settings_toml(folder: Path, gateways: list[str], ports: list[int], extra: str, check_every_s: float = 0.2) -> str:
    """`extra` comes after [gateways], so that its first keys may belong there."""
    return f"""
[listener]
address = "127.0.0.1"
port = {ports[0]}
access_log = "{folder / "access.log"}"
[process]
admin_port = {ports[1]}
metrics_port = {ports[2]}
[gateways]
addresses = {json.dumps(gateways)}
check_every_s = {check_every_s}
{extra.replace("TRITON_PORT", str(ports[3]))}
"""


@contextmanager
def edge(folder: Path, gateways: Sequence[Addressed], extra: str = "", check_every_s: float = 0.2) -> Iterator[Edge]:
    ports = [free_port() for _ in range(4)]
    file = folder / "edge.toml"
    text = settings_toml(folder, [one.address for one in gateways], ports, extra, check_every_s)
    for table in ("listener", "process"):  # keys of tables that are there already: `listener.max_streams = 2`
        lines = [line for line in text.splitlines() if line.startswith(f"{table}.")]
        text = "\n".join(line for line in text.splitlines() if line not in lines)
        text = text.replace(f"[{table}]", "\n".join([f"[{table}]", *(one.removeprefix(f"{table}.") for one in lines)]))
    file.write_text(text)
    with local_envoy(read_edge_settings(file), folder / "envoy", threads=1) as envoy:
        yield Edge(envoy, folder, ports[3], ports[2])


def search(channel: grpc.Channel, query: str = "shoes", metadata: Metadata = (), timeout_s: float = TIMEOUT_S) -> Any:
    stub: Any = search_pb2_grpc.SearchServiceStub(channel)
    return stub.Search(search_pb2.SearchRequest(query=query), timeout=timeout_s, metadata=metadata)


def refusal(channel: grpc.Channel, query: str = "shoes", metadata: Metadata = (), timeout_s: float = TIMEOUT_S) -> Any:
    """The error of a search that must fail."""
    try:
        search(channel, query, metadata, timeout_s)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the edge let it pass")


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def sent(response: search_pb2.SearchResponse) -> dict[str, str]:
    """The metadata that reached the gateway."""
    return {item.item_id: item.title for item in response.items}
