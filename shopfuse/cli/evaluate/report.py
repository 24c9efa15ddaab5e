"""`shopfuse evaluate`: the group, and the report of everything that a workspace can tell about its quality."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.evaluate.offline import demo, fusion
from shopfuse.cli.evaluate.recommend import recommend
from shopfuse.cli.evaluate.sequences import sequences
from shopfuse.cli.evaluate.served import images, search
from shopfuse.cli.evaluate.texts import texts
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.evaluation.render.files import write_report
from shopfuse.evaluation.report.bench import CASES, LISTS, Sizes
from shopfuse.evaluation.report.compose import make_report

app = typer.Typer(no_args_is_help=True, help="Measure how good answers are, served and offline.", rich_markup_mode=None)

OutOption = Annotated[Path | None, typer.Option("--out", help="Folder of the report. Default: WORKSPACE/report.")]
SeedOption = Annotated[int, typer.Option(help="Draws cases, new items and permutations.")]
CasesOption = Annotated[int, typer.Option(min=20, max=2000, help="Cases of each surface and source, at most.")]
ListsOption = Annotated[int, typer.Option(min=50, max=20_000, help="Held-out lists for calibration, at most.")]

ReportedOption = Annotated[
    Path | None, typer.Option("--workspace", "-w", help="Without a command: report on this shop.", file_okay=False)
]


@app.callback(invoke_without_command=True)
def without_command(context: typer.Context, workspace: ReportedOption = None) -> None:
    """Measure quality. `shopfuse evaluate -w DIR` alone is `shopfuse evaluate report -w DIR`."""
    if context.invoked_subcommand is None and workspace is not None:
        report(workspace)
    elif workspace is not None:
        raise typer.BadParameter(f"write it after the command: shopfuse evaluate {context.invoked_subcommand} -w ...")


@app.command()
def report(
    workspace: WorkspaceOption,
    out_folder: OutOption = None,
    seed: SeedOption = 0,
    cases: CasesOption = CASES,
    lists: ListsOption = LISTS,
    json: JsonOption = False,
) -> None:
    """One report with plots: quality, calibration, variety, cold start, modalities, segments, inputs of the ranker.

    Against the true relevance where the shop is simulated, and on the newest, held-out events. Nothing is retrained.

    shopfuse evaluate report -w demo
    """
    started = time.monotonic()
    folder = out_folder or WorkspacePaths(workspace).report
    with progress_bars() as progress:
        made = make_report(workspace, seed, Sizes(cases, lists), progress)
        write_report(made, folder)
    seconds = time.monotonic() - started
    if json:
        print_json({**made.document(), "seconds": seconds, "folder": str(folder)})
        return
    print_table(made.title, ("figure", "value", ""), [[part.label, part.value, part.detail] for part in made.headlines])
    out.print(f"{folder / 'report.html'} (also report.md, report.json); took {seconds:.0f} s")


for command in (demo, fusion, sequences, images, texts, search, recommend):
    app.command()(command)
