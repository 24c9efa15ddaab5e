"""Import of reviews: what buyers wrote of items, with the stars they gave, becomes reviews.parquet of a workspace.

Rows are read in batches and spilled as sorted runs, then merged with the reviews that are there, one range of ids at
a time. Nothing in the workspace changes before all of it has been read and merged. It judges no text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from shopfuse.core.atomic_files import staged_files
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.importing.import_run import ImportRun, batches, import_run, wanted_roots
from shopfuse.datasets.importing.mapping import ReviewMapping
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.importing.review_rows import ReviewReader, review_table
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
from shopfuse.datasets.schema import MAX_REVIEW, REVIEW_SCHEMA
from shopfuse.datasets.workspace import Workspace

_KEY: Final = "review_id"
_RUN_SCHEMA: Final = pl.Schema({"row": pl.UInt32(), **REVIEW_SCHEMA})


def import_reviews(
    file: Path,
    mapping: ReviewMapping,
    workspace: Workspace,
    *,
    max_bad_share: float = 0.05,
    progress: Progress = silent,
) -> ImportReport:
    """Bring the reviews of `file` into the workspace: new ids are added, known ids replaced, others left alone.

    Reviews of items that the catalogue does not hold are kept and counted. Raises SourceFileError,
    TooManyBadRowsError or WorkspaceLockedError; the workspace is then as it was.
    """
    with import_run(file, workspace, workspace.paths.reviews, max_bad_share, progress) as run:
        reader = ReviewReader(mapping)
        runs: list[Path] = []
        for batch in batches(run.rows(mapping, wanted_roots(mapping.sources.values()))):
            table = _read_batch(batch, reader, run)
            runs.append(write_run(run.scratch, f"reviews-{len(runs):05d}", table, _KEY))
        if not runs:
            raise SourceFileError(f"{file}: the file has no rows")
        run.log.check(max_bad_share)
        unknown = _unknown_items(workspace, runs)
        with staged_files(workspace.paths.reviews) as staging:
            counts = _merge(run, runs, staging / workspace.paths.reviews_table.name)
            run.copy_rejects(staging)
        return run.report(counts, workspace.paths.reviews_rejects, unknown_items=unknown)


def _read_batch(batch: Iterator[NumberedRow], reader: ReviewReader, run: ImportRun) -> pl.DataFrame:
    """The good reviews of a batch in stored form; bad rows go to the log."""
    reviews: list[tuple[Any, ...]] = []
    for number, row in batch:
        run.log.rows += 1
        read = reader.read(row)
        if isinstance(read, RowProblem):
            run.log.reject(number, read)
        else:
            reviews.append((number, *read))
    table, problems, cut = review_table(reviews)
    for number, problem in problems:
        run.log.reject(number, problem)
    run.log.note(f"text cut to {MAX_REVIEW} characters", cut)
    return table


def _merge(run: ImportRun, runs: list[Path], target: Path) -> MergeCounts:
    """Write the merged reviews to `target`, or nothing when no review changed."""
    old = [run.workspace.paths.reviews_table] if run.workspace.has_reviews else []
    keys = read_columns([*old, *runs], REVIEW_SCHEMA, [_KEY])[_KEY].unique().sort()
    ranges = key_ranges(keys, RANGE_ROWS)
    counts = MergeCounts()

    def merged() -> Iterator[pl.DataFrame]:
        for done, key_range in enumerate(ranges):
            run.progress("merge", done, len(ranges))
            before = read_range(old, REVIEW_SCHEMA, _KEY, key_range).select(list(REVIEW_SCHEMA))
            merge = merge_rows(before, read_range(runs, _RUN_SCHEMA, _KEY, key_range), _KEY)
            counts.add(merge)
            run.log_superseded(merge, _KEY)
            yield merge.frame.sort(_KEY)

    write_stream(target, REVIEW_SCHEMA, merged())
    if old and not counts.changed:
        target.unlink()
    return counts


def _unknown_items(workspace: Workspace, runs: list[Path]) -> int:
    """How many different items the reviews speak of that the catalogue does not hold."""
    spoken_of = read_columns(runs, _RUN_SCHEMA, ["item_id"]).unique()
    if not workspace.has_items:
        return spoken_of.height
    return spoken_of.lazy().join(workspace.items().select("item_id"), on="item_id", how="anti").collect().height
