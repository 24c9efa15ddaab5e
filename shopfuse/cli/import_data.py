"""`shopfuse import`: rows from a shop's own files into its workspace."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

import typer

from shopfuse.cli.console import out, print_json, progress_bars
from shopfuse.cli.import_photos import photos
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.datasets.catalogue_language import with_language
from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.events import import_events
from shopfuse.datasets.importing.mapping import read_catalogue_mapping, read_event_mapping, read_review_mapping
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.importing.reviews import import_reviews
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock

app = typer.Typer(
    no_args_is_help=True, help="Bring a catalogue, events, reviews or photos into a workspace.", rich_markup_mode=None
)

FileArgument = Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet, plain or .gz.")]
MappingOption = Annotated[
    Path, typer.Option("--mapping", "-m", help="TOML that names the source's fields; see examples/mappings/.")
]
BadShareOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Stop, changing nothing, when more than this share of rows is bad.")
]


class RowImport(Protocol):
    """Brings the rows of a file into a workspace."""

    def __call__(self, workspace: Workspace, *, progress: Progress) -> ImportReport: ...


def _import(rows: RowImport, workspace: Path, as_json: bool) -> None:
    with progress_bars() as progress:
        report = rows(Workspace.open_or_create(workspace), progress=progress)
    if as_json:
        print_json(asdict(report) | {"rejects_path": str(report.rejects_path)})
        return
    out.print(
        f"{report.file}: {report.rows} rows in {report.seconds:.1f} s: {report.added} added, {report.updated} updated, "
        f"{report.unchanged} unchanged, {report.rejected} rejected",
        soft_wrap=True,
        markup=False,
    )
    for note, count in report.notes.items():
        out.print(f"  {count} x {note}", soft_wrap=True, markup=False)
    for bad in report.first_rejections[:5]:
        out.print(f"  row {bad.row}, {bad.field}: {bad.problem}", soft_wrap=True, markup=False)
    if report.unknown_items:
        out.print(f"  {report.unknown_items} items are not in the catalogue", soft_wrap=True)
    if report.rejected or report.superseded:
        out.print(f"  set aside in {report.rejects_path}", soft_wrap=True, markup=False)


app.command()(photos)


@app.command()
def catalog(
    file: FileArgument,
    mapping: MappingOption,
    workspace: WorkspaceOption,
    max_bad_share: BadShareOption = 0.05,
    json: JsonOption = False,
) -> None:
    """Add or update items. The same import twice changes nothing.

    shopfuse import catalog products.jsonl.gz --mapping examples/mappings/icecat.toml -w myshop
    """
    fields = read_catalogue_mapping(mapping)
    _import(partial(import_catalogue, file, fields, max_bad_share=max_bad_share), workspace, json)
    with workspace_lock(workspace):
        _, recognised = with_language(Workspace.open(workspace))
    if recognised is not None and not json:
        out.print(f"  {recognised.line}", soft_wrap=True, markup=False)


@app.command()
def events(
    file: FileArgument,
    mapping: MappingOption,
    workspace: WorkspaceOption,
    max_bad_share: BadShareOption = 0.05,
    json: JsonOption = False,
) -> None:
    """Add what users did: views, searches, clicks, carts, purchases. Events known by their id are not added again.

    shopfuse import events clicks.csv --mapping examples/mappings/events_csv.toml -w myshop
    """
    fields = read_event_mapping(mapping)
    _import(partial(import_events, file, fields, max_bad_share=max_bad_share), workspace, json)


@app.command()
def reviews(
    file: FileArgument,
    mapping: MappingOption,
    workspace: WorkspaceOption,
    max_bad_share: BadShareOption = 0.05,
    json: JsonOption = False,
) -> None:
    """Add what buyers wrote, with their stars: the next build learns from it to tell the sentiment of a text.

    shopfuse import reviews reviews.csv --mapping examples/mappings/reviews_csv.toml -w myshop
    """
    fields = read_review_mapping(mapping)
    _import(partial(import_reviews, file, fields, max_bad_share=max_bad_share), workspace, json)
