"""Tritons and gateways on this machine as a cluster has them: each with a workspace of its own that follows a store.

Every gateway asks every Triton in turn, and names a release when all of them serve it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.local.stack import Stack, StackOptions, local_stack
from shopfuse.release_store.store import ReleaseStore
from shopfuse.release_store.sync import Sync
from shopfuse.triton.command import TritonSettings
from shopfuse.triton.local_triton import LocalTriton

HOST = "127.0.0.1"
AS_IN_A_POD = TritonSettings(start_timeout_s=180.0, whole_at_start=True)


class FleetError(ShopfuseError):
    """A member does not follow the store, or has ended."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """As those of the command; "" leaves one out."""

    store: str = ""
    every: str = "500ms"
    triton: str = ""
    wait_for: str = ""
    probes_port: int = 0  # 0: no probes are answered

    def command(self, workspace: Path) -> list[str]:
        given = {
            "--triton": self.triton,
            "--wait-for": self.wait_for,
            "--probes": f"{HOST}:{self.probes_port}" if self.probes_port else "",
        }
        return [
            *(sys.executable, "-m", "shopfuse.cli.release_store", "sync"),
            *([self.store] if self.store else []),
            *("--workspace", str(workspace), "--every", self.every),
            *(f"{name}={value}" for name, value in given.items() if value),
        ]


@contextmanager
def release_sync(workspace: Path, options: SyncOptions) -> Iterator[subprocess.Popen[bytes]]:
    """Runs inside the block; it logs to WORKSPACE/run/sync.log."""
    log = WorkspacePaths(workspace).sync_log
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(options.command(workspace), stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@dataclass(slots=True)
class Member:
    """What a pod is: a workspace, a server, a `release sync` beside it."""

    root: Path
    sync: subprocess.Popen[bytes]

    def follows(self, generation: int) -> bool:
        """Whether its server answers with these channels. Raises FleetError where it cannot."""
        path = WorkspacePaths(self.root).sync_status
        if self.sync.poll() is not None:
            raise FleetError(f"{path}: the sync beside it has ended, see sync.log")
        status = json.loads(path.read_text("utf-8"))
        if status["refusals"]:
            raise FleetError(f"{path}: {status['problem']}")
        return bool(status["ready"] and status["in_step"] and status["generation"] == generation)


@dataclass(slots=True)
class FleetTriton(Member):
    server: LocalTriton

    def kill(self) -> None:
        os.kill(self.server.pid, signal.SIGKILL)

    def restart(self) -> None:
        self.server.restart()


@dataclass(slots=True)
class FleetGateway(Member):
    options: StackOptions
    running: ExitStack
    stack: Stack

    def kill(self) -> None:
        self.stack.gateway.kill()

    def restart(self) -> None:
        self.running.close()
        self.stack = self.running.enter_context(local_stack(self.root, self.options))


@dataclass(slots=True)
class LocalFleet:
    tritons: list[FleetTriton] = field(default_factory=list)
    gateways: list[FleetGateway] = field(default_factory=list)

    def follows(self, generation: int) -> bool:
        return all(member.follows(generation) for member in (*self.tritons, *self.gateways))


@contextmanager
def local_fleet(
    origin: Path, store: ReleaseStore, folder: Path, *, replicas: int = 2, progress: Progress = silent
) -> Iterator[LocalFleet]:
    """As many Tritons and as many gateways, serving inside the block what the store's channels name.

    They share the origin's feature store and page-token key, which do not travel with releases. Raises FleetError.
    """
    fleet = LocalFleet()
    with ExitStack() as stack:
        for number in range(replicas):
            progress("start Tritons", number, replicas)
            fleet.tritons.append(stack.enter_context(_triton(origin, store, folder / f"triton-{number}")))
        tritons = [each.server.address for each in fleet.tritons]
        for number in range(replicas):
            progress("start gateways", number, replicas)
            fleet.gateways.append(stack.enter_context(_gateway(origin, store, folder / f"gateway-{number}", tritons)))
        yield fleet


@contextmanager
def _triton(origin: Path, store: ReleaseStore, root: Path) -> Iterator[FleetTriton]:
    _follow(origin, store, root)
    paths = WorkspacePaths(root)
    with (
        LocalTriton(paths.model_repository, paths.triton_log, AS_IN_A_POD) as server,
        release_sync(root, SyncOptions(store.url, triton=server.address)) as sync,
    ):
        yield FleetTriton(root, sync, server)


@contextmanager
def _gateway(origin: Path, store: ReleaseStore, root: Path, tritons: list[str]) -> Iterator[FleetGateway]:
    _follow(origin, store, root)
    options = StackOptions(triton=f"ipv4:{','.join(tritons)}", log_impressions=False)
    with (
        release_sync(root, SyncOptions(store.url, wait_for=",".join(tritons))) as sync,
        ExitStack() as running,
    ):
        stack = running.enter_context(local_stack(root, options))
        port = int(stack.endpoints.grpc.rpartition(":")[2])
        yield FleetGateway(root, sync, replace(options, grpc_port=port), running, stack)


def _follow(origin: Path, store: ReleaseStore, root: Path) -> None:
    """A new workspace with what the channels name. Raises FleetError."""
    paths, theirs = WorkspacePaths(root), WorkspacePaths(origin)
    paths.keys.mkdir(parents=True)
    shutil.copy(theirs.public_key, paths.public_key)
    paths.store.parent.symlink_to(theirs.store.parent.absolute())
    first = Sync(root, store, lambda: nullcontext(None), public_key=paths.public_key).look()
    if first.problem:
        raise FleetError(first.problem)
