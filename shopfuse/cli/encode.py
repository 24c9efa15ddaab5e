"""`shopfuse encode`: the catalogue's texts through the text encoder, ahead of a build, on one machine or on many."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import err, out, print_json, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.processes import peak_memory_mb
from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse_exporters.encoding.plan import EncodingError, Shard
from shopfuse_exporters.encoding.run import STAGE
from shopfuse_exporters.encoding.triton import IN_FLIGHT
from shopfuse_exporters.encoding.workspace import encode_workspace, merge_workspace
from shopfuse_exporters.precision.precisions import FULL

SAY_EVERY_S = 30.0

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="With --merge: copies of the workspace in which the other shards were encoded.", exists=True),
]
ShardOption = Annotated[str, typer.Option(metavar="I/N", help="Encode the I-th of N shares, such as 2/4, and stop.")]
MergeOption = Annotated[bool, typer.Option("--merge", help="Encode nothing: put the shards together.")]
TritonOption = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Encode through this Triton, which serves a release of the workspace.")
]
InFlightOption = Annotated[int, typer.Option(min=1, max=256, help="Requests to Triton at the same time.")]
PrecisionOption = Annotated[str, typer.Option(help="Of the text encoder: fp32, or what the build is asked for.")]


class _Pace:
    """Hears the progress of the encoding: draws it, and where there is no terminal says it now and then."""

    def __init__(self, draw: Progress) -> None:
        self._draw = draw
        self._started: tuple[float, int] | None = None  # when, and what was done before
        self._said_at = time.monotonic()
        self.per_s = 0.0  # texts, since the first was begun

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._draw(stage, done, total)
        if stage != STAGE:
            return
        now = time.monotonic()
        start, before = self._started = self._started or (now, done)
        self.per_s = (done - before) / max(now - start, 1e-3)
        if not err.is_terminal and self.per_s and now - self._said_at >= SAY_EVERY_S:
            self._said_at, left_min = now, (total - done) / self.per_s / 60
            err.print(f"  {done} of {total} texts, {self.per_s:.0f} a second, {left_min:.1f} min left")


def encode(
    workspace: WorkspaceOption,
    folders: FoldersArgument = None,
    shard: ShardOption = "",
    merge: MergeOption = False,
    triton: TritonOption = "",
    in_flight: InFlightOption = IN_FLIGHT,
    precision: PrecisionOption = FULL,
    json: JsonOption = False,
) -> None:
    """Encode the texts of the catalogue, so that the next build finds them done.

    A build encodes what is missing by itself; this command is for catalogues that take longer than one sitting.
    Stopped or killed, it goes on where it was; an item whose text did not change is not encoded again.

    \b
    On one machine:
      shopfuse encode -w myshop

    \b
    On four, each with a copy of the workspace (or all on one file system, then without folders at the end):
      shopfuse encode -w myshop --shard 1/4        and so on to 4/4
      shopfuse encode -w myshop --merge copy2 copy3 copy4

    \b
    Through a Triton that serves a release of the workspace, on a GPU for instance:
      shopfuse encode -w myshop --triton gpu-host:8001
    """
    _check(shard, merge, triton, folders or [])
    started = time.perf_counter()
    shop = Workspace.open(workspace)
    with progress_bars() as bars:
        pace = _Pace(bars)
        if merge:
            items, computed = merge_workspace(shop, folders or [], precision, pace), 0
        else:
            chosen = Shard.parse(shard) if shard else None
            items, computed = encode_workspace(shop, chosen, precision, triton, in_flight, pace)
    _print(items, computed, pace.per_s, time.perf_counter() - started, json)


def _check(shard: str, merge: bool, triton: str, folders: list[Path]) -> None:
    if merge and (shard or triton):
        raise EncodingError("--merge encodes nothing: leave out --shard and --triton")
    if folders and not merge:
        raise EncodingError(f"{folders[0]}: folders are for --merge")


def _print(items: int, computed: int, per_s: float, seconds: float, json: bool) -> None:
    memory_mb = peak_memory_mb()
    if json:
        told = {"items": items, "encoded": computed, "items_per_s": round(per_s, 1), "seconds": round(seconds, 1)}
        print_json({**told, "peak_memory_mb": memory_mb})
    else:
        pace = f"{computed} encoded now, {per_s:.1f} a second, {seconds:.1f} s"
        out.print(f"{items} items, {pace}, peak memory {memory_mb} MB")
