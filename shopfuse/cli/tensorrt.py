"""`shopfuse tensorrt`: what TensorRT reads of a release, building its plans on a GPU, and releasing them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import GpuOption, JsonOption, WorkspaceOption
from shopfuse.core.workspace_paths import WorkspacePaths

app = typer.Typer(no_args_is_help=True, help="What TensorRT reads of a release, and its plans.", rich_markup_mode=None)

ReleaseOption = Annotated[str, typer.Option("--release", "-r", help="Release id such as r7.")]


@app.command()
def check(workspace: WorkspaceOption, release: ReleaseOption, gpu: GpuOption = None, json: JsonOption = False) -> None:
    """Let TensorRT read and build every model of a release. Needs no GPU; exit code 1 where one is refused.

    The parser is that of TensorRT for RTX, so what it refuses, TensorRT's plans refuse as well.
    """
    from shopfuse_exporters.tensorrt.release_check import check_release
    from shopfuse_exporters.tensorrt.rtx import USUAL, open_rtx

    rtx = open_rtx(gpu or USUAL)
    with progress_bars() as progress:
        checked = check_release(WorkspacePaths(workspace).release(release), rtx, progress)
    if json:
        print_json({"release_id": release, "tensorrt": rtx.version, "models": [asdict(one) for one in checked]})
    else:
        rows = [
            [one.submodel, one.precision, one.refused or "built", f"{one.seconds:.1f}", f"{one.bytes / 1e6:.1f}"]
            for one in checked
        ]
        print_table(
            f"{release} in TensorRT for RTX {rtx.version}, for {', '.join(rtx.architectures)}",
            ("model", "precision", "engine", "seconds", "MB"),
            rows,
        )
    if any(one.refused for one in checked):
        raise typer.Exit(1)


@app.command()
def build(workspace: WorkspaceOption, release: ReleaseOption, json: JsonOption = False) -> None:
    """Build and verify the plans of a release, in NVIDIA's TensorRT container on the GPU that will serve."""
    from shopfuse_exporters.tensorrt.build_plan import build_plans, open_toolkit

    with progress_bars() as progress:
        records = build_plans(workspace, release, WorkspacePaths(workspace).public_key, open_toolkit(), progress)
    if json:
        print_json({"release_id": release, "plans": {name: asdict(record) for name, record in records.items()}})
        return
    rows = [[name, record.file, record.seconds, record.verified["max_abs"]] for name, record in records.items()]
    print_table(f"plans of {release}", ("model", "plan", "seconds", "largest difference"), rows)


@app.command()
def seal(workspace: WorkspaceOption, release: ReleaseOption, json: JsonOption = False) -> None:
    """Make the next release of a gpu-ort release and the plans that were built for it; needs the private key."""
    from shopfuse.datasets.workspace import Workspace
    from shopfuse_exporters.tensorrt.plan_release import release_with_plans

    manifest = release_with_plans(Workspace.open(workspace), release)
    if json:
        print_json({"release_id": manifest.release_id, "target": manifest.target})
        return
    out.print(f"{manifest.release_id}: {release} with its TensorRT plans; publish it with `shopfuse release publish`")
