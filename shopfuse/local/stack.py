"""One workspace served on this machine: Triton with the release's models, and a gateway process, on free ports.

Whoever enters the block owns both; nothing of them is left when it ends. `supervise` brings a dead Triton back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shopfuse.core.addresses import LOOPBACK, reached_at
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.local.endpoints import Endpoints, NotServed, read_endpoints, remove_endpoints, write_endpoints
from shopfuse.publishing.reconcile import reconcile
from shopfuse.release.channels import read_channels
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.release.verify import verify_release
from shopfuse.triton.command import TritonSettings
from shopfuse.triton.errors import TritonServerError
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
LOOK_EVERY_S = 0.1
LOG_TAIL_LINES = 5


class StackError(ShopfuseError):
    """The workspace cannot be served."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What an operator may choose; a port of 0 means any free one."""

    host: str = LOOPBACK  # that the gateway listens on; Triton stays on the loopback
    grpc_port: int = 0
    metrics_port: int = 0
    triton: str = ""  # HOST:PORT of a Triton that serves this workspace's repository; "" starts one here
    workers: int = 1
    log_impressions: bool = True
    triton_traces: str = ""  # URL that a local Triton's spans go to; those of the gateway go where OTEL_* says


@dataclass(slots=True)
class Stack:
    """The running parts. `triton` is None where a remote one serves."""

    workspace: Path
    endpoints: Endpoints
    gateway: subprocess.Popen[bytes]
    triton: LocalTriton | None

    def supervise(self) -> None:
        """Returns when the gateway has ended; a local Triton that dies meanwhile is started again."""
        while self.gateway.poll() is None:
            time.sleep(LOOK_EVERY_S)
            if self.triton is not None and not self.triton.alive:
                print("Triton died; starting it again", file=sys.stderr, flush=True)
                try:
                    self.restart_triton()
                except (TritonServerError, ReleaseError) as error:
                    print(f"Triton did not come back, trying again: {error}", file=sys.stderr, flush=True)

    def restart_triton(self) -> None:
        """Starts the local Triton anew with everything that is published.

        Raises TritonServerError or ReleaseError, and then leaves none running: one that could not load its models, or
        hangs while it does, serves nothing.
        """
        if self.triton is not None:
            try:
                self.triton.restart()
                load_published(self.workspace, self.triton)
            except BaseException:
                self.triton.stop()
                raise


def stable_release(workspace: Path) -> Manifest:
    """The manifest of the release to serve, its files verified. Raises StackError or ReleaseError."""
    stable = read_channels(workspace).stable
    if not stable:
        raise StackError(f"{workspace}: nothing is released yet; run `shopfuse build -w {workspace}`")
    return verify_release(WorkspacePaths(workspace).release(stable), WorkspacePaths(workspace).public_key)


def _start_triton(stack: ExitStack, workspace: Path, traces: str, progress: Progress) -> LocalTriton:
    paths = WorkspacePaths(workspace)
    triton = LocalTriton(paths.model_repository, paths.triton_log, TritonSettings(traces=traces), progress)
    stack.enter_context(triton)
    load_published(workspace, triton, progress)
    return triton


def load_published(workspace: Path, triton: LocalTriton, progress: Progress = silent) -> None:
    """Loads the models of every release that a channel names."""
    with ModelControl(triton.address) as control:
        done = reconcile(workspace, control, public_key=WorkspacePaths(workspace).public_key, progress=progress)
    for release_id, problem in done.problems.items():
        print(f"release {release_id} is not loaded: {problem}", file=sys.stderr, flush=True)


def _gateway_command(workspace: Path, triton: str, options: StackOptions, ready: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "shopfuse_gateway"),
        *("--workspace", str(workspace), "--triton", triton),
        *("--host", options.host, "--grpc-port", str(options.grpc_port)),
        *("--metrics-port", str(options.metrics_port)),
        *("--workers", str(options.workers), "--ready-file", str(ready)),
        "--log-impressions" if options.log_impressions else "--no-log-impressions",
    ]


def _log_tail(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def _wait_until_ready(gateway: subprocess.Popen[bytes], ready: Path, log: Path) -> dict[str, int]:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not ready.exists():
        if gateway.poll() is not None:
            raise StackError(f"the gateway ended with code {gateway.returncode}: {_log_tail(log)}")
        if time.monotonic() > deadline:
            raise StackError(f"the gateway is not ready after {READY_TIMEOUT_S:.0f} s: {_log_tail(log)}")
        time.sleep(0.02)
    ports: dict[str, int] = json.loads(ready.read_text())
    return ports


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start_gateway(
    stack: ExitStack, workspace: Path, triton: str, options: StackOptions
) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    log, ready = WorkspacePaths(workspace).gateway_log, WorkspacePaths(workspace).gateway_ready
    log.parent.mkdir(parents=True, exist_ok=True)
    ready.unlink(missing_ok=True)
    with log.open("wb") as file:
        command = _gateway_command(workspace, triton, options, ready)
        # In a session of its own, so that Ctrl-C reaches only us and the gateway is drained before Triton stops.
        gateway = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    stack.callback(_stop, gateway)
    return gateway, _wait_until_ready(gateway, ready, log)


@contextmanager
def local_stack(workspace: Path, options: StackOptions | None = None, progress: Progress = silent) -> Iterator[Stack]:
    """Serves the workspace's stable release inside the block. Raises StackError, ReleaseError or TritonServerError."""
    options = options or StackOptions()
    workspace = workspace.absolute()
    stable_release(workspace)
    with ExitStack() as stack:
        local = None if options.triton else _start_triton(stack, workspace, options.triton_traces, progress)
        address = local.address if local else options.triton
        gateway, ports = _start_gateway(stack, workspace, address, options)
        endpoints = Endpoints(
            grpc=reached_at(options.host, ports["grpc"]),
            metrics=reached_at(options.host, ports["metrics"]),
            triton_grpc=address,
            triton_http=f"127.0.0.1:{local.http_port}" if local else "",
            pid=os.getpid(),
        )
        write_endpoints(workspace, endpoints)
        stack.callback(remove_endpoints, workspace)
        yield Stack(workspace, endpoints, gateway, local)


@contextmanager
def served_workspace(workspace: Path, progress: Progress = silent) -> Iterator[Endpoints]:
    """Where the workspace answers: by the stack that serves it already, or by one that the block starts, which logs
    no impressions. Raises what `local_stack` raises."""
    try:
        running = read_endpoints(workspace)
    except NotServed:
        with local_stack(workspace, StackOptions(log_impressions=False), progress) as stack:
            yield stack.endpoints
    else:
        yield running
