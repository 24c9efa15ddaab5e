"""Import of a catalogue: a shop's export of products becomes items.parquet and images.parquet of a workspace.

Rows are read in batches and spilled as sorted runs, then merged with the catalogue one range of ids at a time, so
memory does not grow with the file. Nothing in the workspace changes before all of it has been read and merged.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from shopfuse.core.atomic_files import staged_files
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.importing.image_runs import ImageRuns, merge_images
from shopfuse.datasets.importing.import_run import ImportRun, batches, import_run, wanted_roots
from shopfuse.datasets.importing.item_rows import ItemReader, item_table
from shopfuse.datasets.importing.mapping import CatalogueMapping
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.importing.row_merge import MergeCounts, merge_rows
from shopfuse.datasets.importing.sorted_runs import (
    RANGE_ROWS,
    key_ranges,
    read_columns,
    read_range,
    write_run,
    write_stream,
)
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.importing.source_rows import NumberedRow, RowProblem
from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace

_RUN_SCHEMA: Final = pl.Schema({"row": pl.UInt32(), **ITEM_SCHEMA})


def import_catalogue(
    file: Path,
    mapping: CatalogueMapping,
    workspace: Workspace,
    *,
    max_bad_share: float = 0.05,
    progress: Progress = silent,
) -> ImportReport:
    """Bring the products of `file` into the workspace: new ids are added, known ids replaced, others left alone.

    Raises SourceFileError, TooManyBadRowsError or WorkspaceLockedError; the workspace is then as it was.
    """
    with import_run(file, workspace, workspace.paths.catalogue, max_bad_share, progress) as run:
        images = ImageRuns(run.scratch, file.parent)
        runs: list[Path] = []
        reader = ItemReader(mapping)
        for batch in batches(run.rows(mapping, _wanted(mapping, reader))):
            table = images.collect(_read_batch(batch, reader, run), run.log)
            runs.append(write_run(run.scratch, f"items-{len(runs):05d}", table, "item_id"))
        if not runs:
            raise SourceFileError(f"{file}: the file has no rows")
        run.log.check(max_bad_share)
        images.flush()
        with staged_files(workspace.paths.catalogue) as staging:
            counts, winners = _merge_items(run, runs, staging / workspace.paths.items.name)
            stored = merge_images(workspace.paths.images, images, winners, staging / workspace.paths.images.name)
            run.copy_rejects(staging)
        return run.report(counts, workspace.paths.catalogue_rejects, images=stored)


def _wanted(mapping: CatalogueMapping, reader: ItemReader) -> Callable[[str], bool]:
    mapped = wanted_roots(mapping.sources.values())
    return lambda name: mapped(name) or reader.attribute_name(name) is not None


def _read_batch(batch: Iterator[NumberedRow], reader: ItemReader, run: ImportRun) -> pl.DataFrame:
    """The good rows of a batch in stored form; bad ones go to the log."""
    values: list[tuple[Any, ...]] = []
    attributes: list[tuple[int, str, str]] = []
    for number, row in batch:
        run.log.rows += 1
        read = reader.read(row)
        if isinstance(read, RowProblem):
            run.log.reject(number, read)
            continue
        values.append((number, *read.values))
        attributes += [(number, name, value) for name, value in read.attributes]
    table = item_table(values, attributes)
    for number, problem in table.problems:
        run.log.reject(number, problem)
    for text, count in table.notes.items():
        run.log.note(text, count)
    return table.frame


def _merge_items(run: ImportRun, runs: list[Path], target: Path) -> tuple[MergeCounts, pl.DataFrame]:
    """Write the merged catalogue to `target`, or nothing when no item changed; gives the rows that items come from."""
    old = [run.workspace.paths.items] if run.workspace.has_items else []
    keys = read_columns([*old, *runs], ITEM_SCHEMA, ["item_id"])["item_id"].unique().sort()
    ranges = key_ranges(keys, RANGE_ROWS)
    counts = MergeCounts()
    winners: list[pl.DataFrame] = []

    def merged() -> Iterator[pl.DataFrame]:
        for done, key_range in enumerate(ranges):
            run.progress("merge", done, len(ranges))
            before = read_range(old, ITEM_SCHEMA, "item_id", key_range).select(list(ITEM_SCHEMA))
            merge = merge_rows(before, read_range(runs, _RUN_SCHEMA, "item_id", key_range), "item_id")
            counts.add(merge)
            winners.append(merge.winners)
            run.log_superseded(merge, "id")
            yield merge.frame.sort("item_id")

    write_stream(target, ITEM_SCHEMA, merged())
    if old and not counts.changed:
        target.unlink()
    return counts, pl.concat(winners)
