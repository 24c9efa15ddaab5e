"""Tables larger than memory: sorted runs on disk, read back one key range at a time, written out as a stream.

Runs are Parquet files with small row groups, sorted by the key, so that a range reads little more than its own rows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
from polars.io.plugins import register_io_source

_RUN_GROUP: Final = 4_000
_OUTPUT_GROUP: Final = 20_000

KeyRange = tuple[Any, Any]  # first key, and the first key after the range (None: to the end)


def run_schema(schema: pl.Schema) -> pl.Schema:
    """Of the runs of a table: the row of the source file, then the table's columns."""
    return pl.Schema({"row": pl.UInt32(), **schema})


def write_run(folder: Path, name: str, frame: pl.DataFrame, key: str, group: int = _RUN_GROUP) -> Path:
    """Write one run into `folder`; rows of the same key keep their order."""
    path = folder / f"{name}.parquet"
    frame.sort(key, maintain_order=True).write_parquet(path, compression="lz4", row_group_size=group)
    return path


def rewrite_run(path: Path, **changed: pl.Expr) -> None:
    """Give columns of a run, none of them its key, other values."""
    pl.read_parquet(path).with_columns(**changed).write_parquet(path, compression="lz4", row_group_size=_RUN_GROUP)


def key_ranges(keys: pl.Series, size: int) -> list[KeyRange]:
    """Ranges of at most `size` keys that cover all of `keys` (unique, ascending)."""
    starts = keys.gather_every(size).to_list()
    return list(zip(starts, [*starts[1:], None], strict=True))


def read_range(paths: Sequence[Path], schema: pl.Schema, key: str, key_range: KeyRange) -> pl.DataFrame:
    """Rows of the files whose key lies in the range, file by file; columns that are not of `schema` are left."""
    if not paths:
        return pl.DataFrame(schema=schema)
    low, high = key_range
    inside = pl.col(key) >= low if high is None else (pl.col(key) >= low) & (pl.col(key) < high)
    # A table that an older version wrote has not all of the columns.
    tables = pl.scan_parquet(
        list(paths),
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        glob=False,
    )
    return tables.filter(inside).collect()


def read_columns(paths: Sequence[Path], schema: pl.Schema, columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of all the files; the first file may lack columns that the others have, not the reverse."""
    if not paths:
        return pl.DataFrame(schema=schema).select(columns)
    tables = pl.scan_parquet(list(paths), hive_partitioning=False, glob=False, extra_columns="ignore")
    return tables.select(columns).collect()


def write_stream(path: Path, schema: pl.Schema, frames: Iterator[pl.DataFrame], group: int = _OUTPUT_GROUP) -> None:
    """Write frames one after another into one Parquet file without holding them all."""

    def source(_columns: object, _predicate: object, _rows: object, _size: object) -> Iterator[pl.DataFrame]:
        return frames

    table = register_io_source(source, schema=schema)
    table.sink_parquet(path, compression="zstd", statistics=True, row_group_size=group, maintain_order=True)
