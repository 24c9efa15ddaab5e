"""What the commands that publish share: the Triton that serves a workspace, the key, and how a result reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.endpoints import NotServed, read_endpoints
from shopfuse.release.signature import public_key_of
from shopfuse.serving.model_control import ModelControl

TritonOption = Annotated[
    str, typer.Option(help="HOST:PORT of the Triton that serves the shop; default: the one that `serve` started.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--public-key", help="Public key to verify with; default: keys/release.pub.")
]


@contextmanager
def triton_of(workspace: Path, address: str) -> Iterator[ModelControl | None]:
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


def key_of(workspace: Path, given: Path | None) -> Path:
    return given or public_key_of(workspace)
