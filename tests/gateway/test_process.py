"""The gateway as a process: ready file, clean stop under load, one clear line where it cannot start, workers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from shopfuse.release.channels import Channels, write_channels
from shopfuse.release.leases import folder_of, held
from shopfuse.v1 import search_pb2_grpc
from shopfuse.v1.search_pb2 import SearchRequest

from .conftest import FakeTriton, Triton

COMMAND = (sys.executable, "-m", "shopfuse.gateway", "--triton", "127.0.0.1:1", "--drain-s", "0.5")


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
            yield process, json.loads(wait_for(ready))
        finally:
            process.kill()


def wait_for(path: Path) -> str:
    while not path.exists():
        os.sched_yield()
    return path.read_text()


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
        code = await asyncio.to_thread(process.wait, 10)

    assert code == 0 and all(count > 0 for count in answers)


async def test_workers_share_a_port_and_stop_together(workspace: Path) -> None:
    with gateway(workspace, "--workers", "2") as (process, ready):
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{ready['grpc']}", options) as channel:
            response = await search_pb2_grpc.SearchServiceStub(channel).Search(SearchRequest(query="red shoes"))
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 15)

    assert response.items and code == 0


async def test_workers_follow_each_for_itself_and_take_their_leases_with_them(workspace: Path) -> None:
    triton = Triton(FakeTriton(), 0, [])
    address = f"127.0.0.1:{await triton.start()}"
    with gateway(workspace, "--workers", "2", "--triton", address) as (process, _):
        await until(lambda: leases_of(workspace) == ["r1", "r1"])
        write_channels(workspace / "releases", Channels(stable="r2", previous="r1"))
        await until(lambda: leases_of(workspace) == ["r2", "r2"])
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 15)
    await triton.stop()

    assert code == 0 and list(folder_of(workspace).iterdir()) == []


def leases_of(workspace: Path) -> list[str]:
    """What each gateway process answers with."""
    return [lease.stable for lease in held(workspace)]


async def until(condition: Callable[[], bool]) -> None:
    """Returns once it holds; reading it passes the time."""
    while not await asyncio.to_thread(condition):
        pass


@pytest.mark.timeout(30)
def test_workers_end_with_the_process_that_started_them(workspace: Path) -> None:
    with gateway(workspace, "--workers", "2") as (process, ready):
        process.kill()
        process.wait(10)
        worker = ready["pid"]
        while is_running(worker):
            os.sched_yield()

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
    ],
)
def test_gateway_that_cannot_start_says_why_in_one_line(built: Path, options: Any, problem: str) -> None:
    arguments = (*COMMAND, "--workspace", str(built), *options)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and problem in done.stderr and done.stderr.count("\n") == 1
