"""`shopfuse import`: rows from a shop's own files into its workspace."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Protocol

import typer
from rich.markup import escape
from rich.table import Table

from shopfuse.cli.console import out, print_json, progress_bars
from shopfuse.cli.import_photos import photos
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.datasets.catalogue_language import with_language
from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.events import import_events
from shopfuse.datasets.importing.formats.recognition import (
    EVENT,
    ITEM,
    REVIEW,
    Recognised,
    catalogue_mapping_of,
    event_mapping_of,
    recognised,
    review_mapping_of,
    sample_of,
    suggestion,
    with_row_rules,
)
from shopfuse.datasets.importing.mapping import read_catalogue_mapping, read_event_mapping, read_review_mapping
from shopfuse.datasets.importing.report import ImportReport, LeftOut
from shopfuse.datasets.importing.reviews import import_reviews
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock

app = typer.Typer(
    no_args_is_help=True, help="Bring a catalogue, events, reviews or photos into a workspace.", rich_markup_mode=None
)

FileArgument = Annotated[Path, typer.Argument(help="JSONL, JSON, CSV, TSV, XML, XLSX or Parquet, also .gz or .zip.")]
RecognisedOption = Annotated[
    Path | None,
    typer.Option("--mapping", "-m", help="TOML that names the source's fields; without it the format is recognised."),
]
SuggestOption = Annotated[
    bool, typer.Option("--suggest", help="Print a mapping for this file, to be edited, and import nothing.")
]
BadShareOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Stop, changing nothing, when more than this share of rows is bad.")
]


FullOption = Annotated[
    bool, typer.Option("--full", help="The file is everything: items that it lacks are retired, found by nothing.")
]
MaxRetiredOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="With --full: stop when it lacks more than this share of the items.")
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
        f"{report.unchanged} unchanged, {report.rejected} rejected"
        f"{_overruled(report)}",
        soft_wrap=True,
        markup=False,
    )
    out.print(f"  read as {report.read_as}", soft_wrap=True, markup=False)
    for warning in report.warnings:
        out.print(f"  warning: {warning}", style="bold yellow", soft_wrap=True, markup=False)
    if report.left_out:
        out.print(_left_out_table(report.left_out))
    for note, count in report.notes.items():
        out.print(f"  {count} x {note}", soft_wrap=True, markup=False)
    for bad in [bad for bad in report.first_rejections if not bad.row_kept][:5]:
        out.print(f"  row {bad.row}, {bad.field}: {bad.problem}", soft_wrap=True, markup=False)
    if report.retired or report.returned:
        out.print(f"  {report.retired} items that it lacks were retired, {report.returned} came back", soft_wrap=True)
    elif report.lacking:
        out.print(f"  {report.lacking} items of the catalogue are not in it; --full retires them", soft_wrap=True)
    if report.unknown_items:
        out.print(f"  {report.unknown_items} items are not in the catalogue", soft_wrap=True)
    if report.rejected or report.superseded or report.left_out:
        out.print(f"  set aside in {report.rejects_path}", soft_wrap=True, markup=False)


def _overruled(report: ImportReport) -> str:
    """The rows that are none of those: a later row of the same file says the same, or overrules them."""
    return "".join(
        f", {count} {kind}"
        for count, kind in ((report.superseded, "superseded"), (report.repeated, "repeated"))
        if count
    )


def _left_out_table(entries: Sequence[LeftOut]) -> Table:
    table = Table("field", "left out because", "count", "first row", "its value")
    for entry in entries:
        table.add_row(entry.field, escape(entry.problem), str(entry.count), str(entry.row), escape(entry.value[:60]))
    return table


def _recognised(file: Path, section: str, as_json: bool) -> Recognised:
    """The format of a file without a mapping, told to people."""
    with TemporaryDirectory() as scratch:
        found = recognised(file, section, Path(scratch))
    if not as_json:
        table = Table("field", "read from", "for example", title=f"{file.name}: {found.name}", title_justify="left")
        for key, told in found.fields.items():
            table.add_row(key, escape(told), escape(found.example(told)))
        out.print(table)
        if found.unused:
            out.print(f"  not used: {', '.join(found.unused)}", soft_wrap=True, markup=False)
    return found


def _suggest(file: Path, section: str) -> None:
    with TemporaryDirectory() as scratch:
        sys.stdout.write(suggestion(sample_of(file, Path(scratch)), section))


app.command()(photos)


@app.command()
def catalog(
    file: FileArgument,
    workspace: WorkspaceOption,
    mapping: RecognisedOption = None,
    suggest: SuggestOption = False,
    max_bad_share: BadShareOption = 0.05,
    full: FullOption = False,
    max_retired: MaxRetiredOption = 0.2,
    json: JsonOption = False,
) -> None:
    """Add or update items. The same import twice changes nothing.

    shopfuse import catalog products.jsonl.gz --mapping examples/mappings/icecat.toml -w myshop
    shopfuse import catalog shopify.csv -w myshop
    shopfuse import catalog products.csv --suggest > map.toml
    """
    if suggest:
        _suggest(file, ITEM)
        return
    if mapping is None:
        fields = catalogue_mapping_of(_recognised(file, ITEM, json))
    else:
        fields = with_row_rules(read_catalogue_mapping(mapping), file)
    retired = max_retired if full else None
    rows = partial(import_catalogue, file, fields, max_bad_share=max_bad_share, max_retired=retired)
    _import(rows, workspace, json)
    with workspace_lock(workspace):
        _, recognised = with_language(Workspace.open(workspace))
    if recognised is not None and not json:
        out.print(f"  {recognised.line}", soft_wrap=True, markup=False)


@app.command()
def events(
    file: FileArgument,
    workspace: WorkspaceOption,
    mapping: RecognisedOption = None,
    suggest: SuggestOption = False,
    max_bad_share: BadShareOption = 0.05,
    json: JsonOption = False,
) -> None:
    """Add what users did: views, searches, clicks, carts, purchases. Events known by their id are not added again.

    shopfuse import events clicks.csv --mapping examples/mappings/events_csv.toml -w myshop
    """
    if suggest:
        _suggest(file, EVENT)
        return
    fields = read_event_mapping(mapping) if mapping else event_mapping_of(_recognised(file, EVENT, json))
    _import(partial(import_events, file, fields, max_bad_share=max_bad_share), workspace, json)


@app.command()
def reviews(
    file: FileArgument,
    workspace: WorkspaceOption,
    mapping: RecognisedOption = None,
    suggest: SuggestOption = False,
    max_bad_share: BadShareOption = 0.05,
    json: JsonOption = False,
) -> None:
    """Add what buyers wrote, with their stars: the next build learns from it to tell the sentiment of a text.

    shopfuse import reviews judgeme.csv -w myshop
    shopfuse import reviews reviews.csv --mapping examples/mappings/reviews_csv.toml -w myshop
    """
    if suggest:
        _suggest(file, REVIEW)
        return
    fields = read_review_mapping(mapping) if mapping else review_mapping_of(_recognised(file, REVIEW, json))
    _import(partial(import_reviews, file, fields, max_bad_share=max_bad_share), workspace, json)
