"""What --host may be: an address of either family, all of them, or a name; and what is said of one that cannot be."""

from __future__ import annotations

import asyncio
import subprocess
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from shopfuse.core.addresses import host_port, reached_at
from tests.gateway.test_process import COMMAND, gateway

EVERYWHERE = ("127.0.0.1", "[::1]")


@pytest.mark.parametrize(
    ("host", "workers", "reached"),
    [
        ("127.0.0.1", 1, ("127.0.0.1",)),
        ("localhost", 1, ("localhost",)),
        ("::1", 1, ("[::1]",)),
        ("[::1]", 2, ("[::1]",)),
        ("::", 1, EVERYWHERE),
        ("::", 2, EVERYWHERE),
        ("[::]", 1, EVERYWHERE),
        ("0.0.0.0", 1, ("127.0.0.1",)),
    ],
)
async def test_gateway_answers_on_both_ports_of_its_host(
    workspace: Path, host: str, workers: int, reached: tuple[str, ...]
) -> None:
    with gateway(workspace, "--host", host, "--workers", str(workers)) as (_, ready):
        for address in reached:
            async with grpc.aio.insecure_channel(f"{address}:{ready['grpc']}") as channel:
                # Another worker than the one that says ready may answer, before it serves.
                watch = health_pb2_grpc.HealthStub(channel).Watch(HealthCheckRequest(), wait_for_ready=True)
                async with asyncio.timeout(30.0):
                    while (await watch.read()).status != HealthCheckResponse.SERVING:
                        pass
                watch.cancel()
            assert b"grpc_server_handled_total" in await asyncio.to_thread(scraped, f"{address}:{ready['metrics']}")


def scraped(address: str) -> bytes:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30.0) as page:
        text: bytes = page.read()
        return text


def test_the_loopback_is_the_default(workspace: Path) -> None:
    with gateway(workspace) as (_, ready):
        assert scraped(f"127.0.0.1:{ready['metrics']}")
        with pytest.raises(OSError):
            scraped(f"[::1]:{ready['metrics']}")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "1.2.3.4.5", "::1::", "", "a" * 300])
def test_a_host_that_is_none_is_named_in_one_line(workspace: Path, host: str) -> None:
    process = subprocess.run(
        (*COMMAND, "--workspace", str(workspace), "--host", host), capture_output=True, text=True, check=False
    )

    assert process.returncode == 1
    assert process.stderr.startswith("error: host: ") and len(process.stderr.splitlines()) == 1


def test_an_address_of_another_machine_cannot_be_listened_on(workspace: Path) -> None:
    command = (*COMMAND, "--workspace", str(workspace), "--host", "2001:db8::1", "--grpc-port", "7070")
    process = subprocess.run(command, capture_output=True, text=True, check=False)

    assert process.returncode == 1
    assert "cannot listen on [2001:db8::1]:7070" in process.stderr


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:7"),
        ("::1", "[::1]:7"),
        ("[::1]", "[::1]:7"),
        ("::", "127.0.0.1:7"),
        ("[::]", "127.0.0.1:7"),
        ("0.0.0.0", "127.0.0.1:7"),
        ("shop.example", "shop.example:7"),
    ],
)
def test_endpoints_name_an_address_that_this_machine_reaches(host: str, expected: str) -> None:
    assert reached_at(host, 7) == expected
    assert host_port("::", 7) == "[::]:7"
