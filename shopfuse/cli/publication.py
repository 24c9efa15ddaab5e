"""What the commands that publish share: the Triton that serves a workspace, the key, and how a result reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import err, out, print_json
from shopfuse.cli.release_page import roles_of
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.local.endpoints import NotServed, read_endpoints
from shopfuse.publishing.prune import Pruned
from shopfuse.publishing.switch import Published
from shopfuse.triton.model_control import ModelControl

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
    return given or WorkspacePaths(workspace).public_key


def print_published(done: Published, json: bool) -> None:
    """What answers whom now, and what a person should look at."""
    if json:
        print_json(asdict(done))
        return
    for name in done.after.in_use:
        out.print(f"{name}: {roles_of(name, done.after)}")
    slowest = sorted(done.step_seconds.items(), key=lambda step: -step[1])[:3]
    steps = ", ".join(f"{name} {took:.2f}" for name, took in slowest)
    out.print(f"{done.action} took {done.seconds:.2f} s, of which {steps}")
    _print_warnings(done.warnings)


def print_pruned(done: Pruned, json: bool) -> None:
    if json:
        print_json(asdict(done))
        return
    for name, why in done.kept.items():
        out.print(f"{name} stays: {why}", markup=False)
    removed = ", ".join((*done.removed, *done.removed_models)) or "nothing"
    out.print(f"removed {removed} in {done.seconds:.2f} s", markup=False, soft_wrap=True)
    _print_warnings(done.warnings)


def _print_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
