"""`shopfuse tensorrt`: whether a release's models can be plans, building them on a GPU, and releasing them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.workspace_paths import WorkspacePaths

app = typer.Typer(no_args_is_help=True, help="TensorRT plans of a release.", rich_markup_mode=None)

ReleaseOption = Annotated[str, typer.Option("--release", "-r", help="Release id such as r7.")]


@app.command()
def check(workspace: WorkspaceOption, release: ReleaseOption, json: JsonOption = False) -> None:
    """Which models of a release TensorRT can build, by their operators. Needs no GPU; exit code 1 where one cannot."""
    from shopfuse_exporters.tensorrt.operators import release_operator_problems

    problems = release_operator_problems(WorkspacePaths(workspace).release(release))
    if json:
        print_json({"release_id": release, "problems": problems})
    else:
        rows = [[name, "; ".join(lines) or "can be built"] for name, lines in problems.items()]
        print_table(f"operators of {release}", ("model", "TensorRT"), rows)
    if any(problems.values()):
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
