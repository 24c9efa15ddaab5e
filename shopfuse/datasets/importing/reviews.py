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
from shopfuse.datasets.importing.sorted_runs import read_columns, run_schema, write_run
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.importing.source_rows import NumberedRow
from shopfuse.datasets.importing.table_merge import KeyedTable, merge_table
from shopfuse.datasets.schema import MAX_REVIEW, REVIEW_SCHEMA
from shopfuse.datasets.workspace import Workspace

_KEY: Final = "review_id"


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
        run.log.note_all(reader.notes)
        run.log.check(max_bad_share)
        unknown = run.unknown_items(read_columns(runs, run_schema(REVIEW_SCHEMA), ["item_id"])["item_id"].unique())
        with staged_files(workspace.paths.reviews) as staging:
            reviews = KeyedTable(workspace.paths.reviews_table, REVIEW_SCHEMA, _KEY, _KEY)
            counts, _ = merge_table(run, reviews, runs, staging / reviews.path.name)
            run.copy_rejects(staging)
        return run.report(counts, workspace.paths.reviews_rejects, unknown_items=unknown)


def _read_batch(batch: Iterator[NumberedRow], reader: ReviewReader, run: ImportRun) -> pl.DataFrame:
    """The good reviews of a batch in stored form; bad rows go to the log."""
    reviews: list[tuple[Any, ...]] = []
    for number, review in run.good_rows(batch, reader.read):
        reviews.append((number, *review.values))
        for problem in review.left_out:
            run.log.leave_out(number, problem)
    table, problems, cut = review_table(reviews)
    run.log.reject_all(problems)
    run.log.note(f"text cut to {MAX_REVIEW} characters", cut)
    return table
