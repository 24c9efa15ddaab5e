"""A table of the workspace merged with the sorted runs of an import, one range of ids at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from shopfuse.datasets.importing.import_run import ImportRun
from shopfuse.datasets.importing.row_merge import MergeCounts, merge_rows
from shopfuse.datasets.importing.sorted_runs import (
    key_ranges,
    read_columns,
    read_range,
    run_schema,
    write_stream,
)

RANGE_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """A table that is sorted by its key."""

    path: Path
    schema: pl.Schema
    key: str
    field: str  # what a mapping calls the key


def merge_table(run: ImportRun, table: KeyedTable, runs: list[Path], target: Path) -> tuple[MergeCounts, pl.DataFrame]:
    """Write the merged table to `target`, or nothing when no row changed; gives which rows of the import won: (key,
    row)."""
    key, columns = table.key, list(table.schema)
    old = [table.path] if table.path.is_file() else []
    ranges = key_ranges(read_columns([*old, *runs], table.schema, [key])[key].unique().sort(), RANGE_ROWS)
    counts = MergeCounts()
    winners: list[pl.DataFrame] = []

    def merged() -> Iterator[pl.DataFrame]:
        for done, key_range in enumerate(ranges):
            run.progress("merge", done, len(ranges))
            before = read_range(old, table.schema, key, key_range).select(columns)
            merge = merge_rows(before, read_range(runs, run_schema(table.schema), key, key_range), key)
            counts.add(merge)
            winners.append(merge.winners)
            run.log_superseded(merge, table.field)
            yield merge.frame.sort(key)

    write_stream(target, table.schema, merged())
    if old and not counts.changed:
        target.unlink()
    return counts, pl.concat(winners)
