"""The gateway as a process: ready file, clean stop under load, one clear line where it cannot start, workers."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args, get_type_hints

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.release.channels import Channels, write_channels
from shopfuse.release.leases import held
from shopfuse.v1 import search_pb2_grpc
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.settings import Settings
from tests.gateway.fake_triton import FakeTriton, Triton
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)  # no claim about speed: it ends a test whose process hangs

COMMAND = (sys.executable, "-m", "shopfuse_gateway", "--triton", "127.0.0.1:1", "--drain-s", "0.5")
STOPS_WITHIN_S = 60.0


@contextmanager
def gateway(workspace: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A gateway process and what its ready file says; without Triton, which does not matter here."""
    ready = workspace / "run" / "gateway.json"
    arguments = (*COMMAND, "--workspace", str(workspace), "--ready-file", str(ready), *options)
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "serving release" in line:
                    break
            wait_until(ready.exists)
            yield process, json.loads(ready.read_text())
        finally:
            process.kill()


async def test_sigterm_under_load_fails_no_call_of_a_client_that_watches_health(workspace: Path) -> None:
    with gateway(workspace) as (process, ready):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ready['grpc']}") as channel:
            search = search_pb2_grpc.SearchServiceStub(channel).Search
            leaving = asyncio.Event()

            async def client() -> int:
                answers = 0
                while not leaving.is_set():
                    answers += len((await search(SearchRequest(query="red shoes"), timeout=5.0)).items) > 0
                return answers

            clients = [asyncio.create_task(client()) for _ in range(4)]
            watch = health_pb2_grpc.HealthStub(channel).Watch(HealthCheckRequest())
            assert (await watch.read()).status == HealthCheckResponse.SERVING
            process.send_signal(signal.SIGTERM)
            assert (await watch.read()).status == HealthCheckResponse.NOT_SERVING
            leaving.set()
            answers = await asyncio.gather(*clients)
        code = await asyncio.to_thread(process.wait, STOPS_WITHIN_S)

    assert code == 0 and all(count > 0 for count in answers)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def starting(workspace: Path, triton_port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A gateway that waits for its Triton, and the address where it says how it is."""
    port = free_port()
    options = ("--workspace", str(workspace), "--grpc-port", str(port), "--triton-within-s", "600")
    with subprocess.Popen((*COMMAND, *options, "--triton", f"127.0.0.1:{triton_port}")) as process:
        try:
            yield process, f"127.0.0.1:{port}"
        finally:
            process.kill()


async def test_a_gateway_that_starts_before_its_triton_is_ready_when_its_release_is_served(workspace: Path) -> None:
    triton = Triton(FakeTriton(), free_port(), [])
    with starting(workspace, triton.port) as (_, address):
        async with grpc.aio.insecure_channel(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            before = await health.Check(HealthCheckRequest(), timeout=60.0, wait_for_ready=True)
            await triton.start()
            watch = health.Watch(HealthCheckRequest())
            async with asyncio.timeout(60.0):
                while (await watch.read()).status != HealthCheckResponse.SERVING:
                    pass
            answer = await search_pb2_grpc.SearchServiceStub(channel).Search(SearchRequest(query="red shoes"))
    await triton.stop()

    assert before.status == HealthCheckResponse.NOT_SERVING
    assert not answer.degraded


async def test_a_gateway_is_stopped_while_it_waits_for_triton(workspace: Path) -> None:
    with starting(workspace, 1) as (process, address):
        async with grpc.aio.insecure_channel(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(HealthCheckRequest(), timeout=60.0, wait_for_ready=True)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, STOPS_WITHIN_S)

    assert (answer.status, code) == (HealthCheckResponse.NOT_SERVING, 0)


async def test_workers_share_a_port_and_stop_together(workspace: Path) -> None:
    with gateway(workspace, "--workers", "2") as (process, ready):
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ready['grpc']}", options) as channel:
            response = await search_pb2_grpc.SearchServiceStub(channel).Search(SearchRequest(query="red shoes"))
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, STOPS_WITHIN_S)

    assert response.items and code == 0


async def test_workers_follow_each_for_itself_and_take_their_leases_with_them(workspace: Path) -> None:
    triton = Triton(FakeTriton(), 0, [])
    address = f"127.0.0.1:{await triton.start()}"
    with gateway(workspace, "--workers", "2", "--triton", address) as (process, _):
        await asyncio.to_thread(wait_until, lambda: leases_of(workspace) == ["r1", "r1"])
        write_channels(workspace, Channels(stable="r2", previous="r1"))
        await asyncio.to_thread(wait_until, lambda: leases_of(workspace) == ["r2", "r2"])
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, STOPS_WITHIN_S)
    await triton.stop()

    assert code == 0 and list(WorkspacePaths(workspace).gateway_leases.iterdir()) == []


def leases_of(workspace: Path) -> list[str]:
    """What each gateway process answers with."""
    return [lease.stable for lease in held(workspace)]


def test_workers_end_with_the_process_that_started_them(workspace: Path) -> None:
    with gateway(workspace, "--workers", "2") as (process, ready):
        process.kill()
        process.wait(STOPS_WITHIN_S)
        worker = ready["pid"]
        wait_until(lambda: not is_running(worker))

    assert worker != process.pid


def is_running(pid: int) -> bool:
    """Whether the process is there and not only waiting for someone to read its exit code."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--release-id", "r9"), "r9"),
        (("--pool", "0"), "pool"),
        (("--triton", "nowhere"), "triton"),
        (("--page-token-key", "/nowhere"), "page_token_key: /nowhere cannot be read"),
        (("--page-token-key", "/dev/null"), "page_token_key: /dev/null: expected at least 32 bytes, got 0"),
    ],
)
def test_gateway_that_cannot_start_says_why_in_one_line(built: Path, options: tuple[str, ...], problem: str) -> None:
    arguments = (*COMMAND, "--workspace", str(built), *options)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and problem in done.stderr and done.stderr.count("\n") == 1


def test_help_says_what_every_setting_means() -> None:
    done = subprocess.run((*COMMAND, "--help"), capture_output=True, text=True, timeout=60, check=True)
    text = " ".join(done.stdout.split())

    for name, hint in get_type_hints(Settings, include_extras=True).items():
        assert f"--{name.replace('_', '-')}" in text
        assert get_args(hint)[1] in text
