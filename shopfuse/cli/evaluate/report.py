"""`shopfuse evaluate report`: everything that a workspace can tell about its quality, as Markdown, HTML and JSON."""

from __future__ import annotations

import json as json_format
import shlex
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.atomic_files import write_text
from shopfuse.core.progress import Progress
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.render.html import html
from shopfuse.evaluation.render.markdown import markdown
from shopfuse.evaluation.render.plots import svg
from shopfuse.evaluation.report.bench import CASES, LISTS, Sizes, open_bench
from shopfuse.evaluation.report.compose import compose
from shopfuse.evaluation.report.release_figures import facts_of, open_measured
from shopfuse.evaluation.report.section import Report
from shopfuse.training.data.provenance import data_hash

PLOTS = "plots"

OutOption = Annotated[Path | None, typer.Option("--out", help="Folder of the report. Default: WORKSPACE/report.")]
SeedOption = Annotated[int, typer.Option(help="Draws cases, new items and permutations.")]
CasesOption = Annotated[int, typer.Option(min=20, max=2000, help="Cases of each surface and source, at most.")]
ListsOption = Annotated[int, typer.Option(min=50, max=20_000, help="Held-out lists for calibration, at most.")]

ReportedOption = Annotated[
    Path | None, typer.Option("--workspace", "-w", help="Without a command: report on this shop.", file_okay=False)
]


def without_command(context: typer.Context, workspace: ReportedOption = None) -> None:
    """Measure quality. `shopfuse evaluate -w DIR` alone is `shopfuse evaluate report -w DIR`."""
    if context.invoked_subcommand is None and workspace is not None:
        report(workspace)
    elif workspace is not None:
        raise typer.BadParameter(f"write it after the command: shopfuse evaluate {context.invoked_subcommand} -w ...")


def make_report(workspace: Path, seed: int, sizes: Sizes, progress: Progress) -> Report:
    """Measures the last training of a workspace. Raises a ShopfuseError where nothing is released yet."""
    shop = Workspace.open(workspace)
    measured, data = open_measured(shop, progress), data_hash(shop)
    with tempfile.TemporaryDirectory(prefix="shopfuse-report-") as folder:
        bench = open_bench(
            shop,
            measured.models,
            measured.text_vectors,
            measured.encoding.encode,
            Path(folder),
            seed=seed,
            sizes=sizes,
        )
        facts = facts_of(shop, measured, seed, data)
        title = f"Evaluation of {shop.settings.name}, release {measured.manifest.release_id}"
        return compose(bench, title, facts, _command(workspace, seed, sizes), data, progress)


def _command(workspace: Path, seed: int, sizes: Sizes) -> str:
    """What to type to get the same figures again."""
    where = shlex.quote(str(workspace))
    return f"shopfuse evaluate report -w {where} --seed {seed} --cases {sizes.cases} --lists {sizes.lists}"


def write_report(report: Report, folder: Path) -> None:
    """report.html (alone enough), report.md with plots/*.svg, and report.json with every figure."""
    drawn = {
        section.key: [svg(plot, f"{section.key}-{number}") for number, plot in enumerate(section.plots)]
        for section in report.sections
    }
    files = {key: [f"{PLOTS}/{key}-{number}.svg" for number in range(len(plots))] for key, plots in drawn.items()}
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    for key, plots in drawn.items():
        for name, plot in zip(files[key], plots, strict=True):
            write_text(folder / name, plot)
    write_text(folder / "report.md", markdown(report, files))
    write_text(folder / "report.html", html(report, drawn))
    write_text(folder / "report.json", json_format.dumps(report.document(), indent=1) + "\n")


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
