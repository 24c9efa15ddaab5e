"""Import of an event log: clicks, carts, purchases and impressions become one Parquet file for each UTC day.

Rows are read in batches and spilled as runs sorted by time, then merged into the days they belong to, one day at a
time. Nothing in the workspace changes before all of it has been read and merged. It drops no outliers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from shopfuse.core.atomic_files import staged_files
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.importing.event_rows import EventReader, event_table
from shopfuse.datasets.importing.import_run import ImportRun, batches, import_run, wanted_roots
from shopfuse.datasets.importing.mapping import EventMapping
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.importing.row_merge import MergeCounts, merge_rows
from shopfuse.datasets.importing.sorted_runs import read_range, run_schema, write_run
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.importing.source_rows import NumberedRow
from shopfuse.datasets.schema import EVENT_SCHEMA
from shopfuse.datasets.workspace import Workspace

_RUN_SCHEMA: Final = run_schema(EVENT_SCHEMA)


@dataclass(slots=True)
class _Runs:
    """What the reading of a file left on disk, and what it met."""

    paths: list[Path]
    days: set[date]
    items: pl.Series  # different item ids


def import_events(
    file: Path,
    mapping: EventMapping,
    workspace: Workspace,
    *,
    max_bad_share: float = 0.05,
    progress: Progress = silent,
) -> ImportReport:
    """Bring the events of `file` into the workspace: new event ids are added, known ones of the same day replaced.

    Events of items that the catalogue does not hold are kept and counted. Raises SourceFileError,
    TooManyBadRowsError or WorkspaceLockedError; the workspace is then as it was.
    """
    with import_run(file, workspace, workspace.paths.events, max_bad_share, progress) as run:
        runs = _read(run, mapping)
        if not run.log.rows:
            raise SourceFileError(f"{file}: the file has no rows")
        run.log.check(max_bad_share)
        if not runs.days:
            raise SourceFileError(f"{file}: none of {run.log.rows} rows is an event of ours: {_first(run.log.notes)}")
        unknown = run.unknown_items(runs.items)
        with staged_files(workspace.paths.events) as staging:
            counts = _merge_days(run, runs, staging)
            run.copy_rejects(staging)
        return run.report(counts, workspace.paths.events_rejects, unknown_items=unknown)


def _read(run: ImportRun, mapping: EventMapping) -> _Runs:
    """Spill the good events of the whole file."""
    reader = EventReader(mapping)
    wanted = wanted_roots(mapping.sources.values(), mapping.items_field)
    runs = _Runs([], set(), pl.Series("item_id", [], pl.String()))
    for batch in batches(run.rows(mapping, wanted)):
        table = _read_batch(batch, reader, run)
        runs.days.update(table["timestamp"].dt.date().unique())
        runs.items = pl.concat([runs.items, table["item_id"].drop_nulls()]).unique()
        runs.paths.append(write_run(run.scratch, f"events-{len(runs.paths):05d}", table, "timestamp"))
    reader.prices.settle(runs.paths, "price", run.log)
    run.log.note_all(reader.notes)
    return runs


def _read_batch(batch: Iterator[NumberedRow], reader: EventReader, run: ImportRun) -> pl.DataFrame:
    """The good events of a batch in stored form; bad rows go to the log."""
    events: list[tuple[Any, ...]] = []
    for number, read in run.good_rows(batch, reader.read):
        events += [(number, *event) for event in read.events]
        for problem in read.left_out:
            run.log.leave_out(number, problem)
    table, problems = event_table(events)
    run.log.reject_all(problems)
    return table


def _merge_days(run: ImportRun, runs: _Runs, staging: Path) -> MergeCounts:
    """Write every day that changed into `staging`."""
    counts = MergeCounts()
    for done, day in enumerate(sorted(runs.days)):
        run.progress("merge", done, len(runs.days))
        path = run.workspace.paths.events_of(day)
        old = pl.read_parquet(path, hive_partitioning=False) if path.exists() else pl.DataFrame(schema=EVENT_SCHEMA)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        new = read_range(runs.paths, _RUN_SCHEMA, "timestamp", (start, start + timedelta(days=1)))
        merge = merge_rows(old.select(list(EVENT_SCHEMA)), new, "event_id")
        counts.add(merge)
        run.log_superseded(merge, "event_id")
        if merge.changed:
            merge.frame.sort("timestamp", "event_id").write_parquet(staging / path.name, row_group_size=50_000)
    return counts


def _first(notes: dict[str, int]) -> str:
    return "; ".join(f"{text} ({count})" for text, count in list(notes.items())[:5])
