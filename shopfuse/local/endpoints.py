"""Where a served workspace answers: one small file, written once ready and removed when it stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shopfuse.core.atomic_files import write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.processes import alive
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.triton.model_control import ModelControl


class NotServed(ShopfuseError):
    """No process serves this workspace."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses HOST:PORT, and the process that owns them."""

    grpc: str
    metrics: str
    triton_grpc: str
    triton_http: str
    pid: int


def write_endpoints(workspace: Path, endpoints: Endpoints) -> None:
    write_text(WorkspacePaths(workspace).endpoints, json.dumps(asdict(endpoints), indent=2) + "\n", durable=False)


def remove_endpoints(workspace: Path) -> None:
    WorkspacePaths(workspace).endpoints.unlink(missing_ok=True)


def read_endpoints(workspace: Path) -> Endpoints:
    """Raises NotServed where no living process serves the workspace."""
    path = WorkspacePaths(workspace).endpoints
    try:
        endpoints = Endpoints(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise NotServed(f"{workspace} is not being served: start it with `shopfuse serve -w {workspace}`") from None
    except (ValueError, TypeError) as error:
        raise NotServed(
            f"{path}: damaged ({error}); start the shop again with `shopfuse serve -w {workspace}`"
        ) from error
    if not alive(endpoints.pid):
        raise NotServed(
            f"{path}: process {endpoints.pid} is gone; start the shop again with `shopfuse serve -w {workspace}`"
        )
    return endpoints


def gateway_address(workspace: Path, address: str) -> str:
    """`address`, by default that of the gateway that serves the workspace. Raises NotServed where none does."""
    return address or read_endpoints(workspace).grpc


@contextmanager
def triton_control(workspace: Path, address: str = "") -> Iterator[ModelControl | None]:
    """The Triton at `address`, by default the one that serves the workspace on this machine; None where none does."""
    address = address or _local_triton(workspace)
    if not address:
        yield None
        return
    with ModelControl(address) as control:
        yield control


def _local_triton(workspace: Path) -> str:
    try:
        return read_endpoints(workspace).triton_grpc
    except NotServed:
        return ""
