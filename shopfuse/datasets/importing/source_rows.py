"""Rows of a JSONL, CSV or Parquet file, one dict each, read as a stream.

A row that cannot be read comes out as a `RowProblem` and reading goes on; a file that cannot be read raises
SourceFileError. Rows are numbered as people count them: lines of a JSONL file, rows of a CSV file as a spreadsheet
shows them (the header is row 1), rows of a Parquet file from 1.
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl

from shopfuse.core.progress import Progress
from shopfuse.datasets.importing.source_file import SourceFile, SourceFileError, bounded_lines, plain_parquet, unpacked

BATCH_ROWS: Final = 25_000
_REPORT_EVERY: Final = 4096  # rows between two calls of `progress`

_TYPE_NAMES: Final = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true/false"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why one row, or one field of it, is not taken; `field` is empty where the whole row is meant."""

    field: str
    problem: str
    value: str = ""


Row = dict[str, Any]  # field name -> JSON-like value: the edge of the typed world
NumberedRow = tuple[int, "Row | RowProblem"]


def read_rows(
    source: SourceFile, delimiter: str, wanted: Callable[[str], bool], scratch: Path, progress: Progress
) -> Iterator[NumberedRow]:
    """Numbered rows of the file. `wanted` tells which columns of a Parquet file to decode."""
    if source.format == "parquet":
        yield from _parquet_rows(source, wanted, scratch, progress)
        return
    with unpacked(source) as (stream, raw):
        rows = _jsonl_rows(stream) if source.format == "jsonl" else _csv_rows(source, stream, delimiter)
        for count, row in enumerate(rows):
            if count % _REPORT_EVERY == 0:
                progress("read", raw.tell(), source.size)
            yield row


def column_names(source: SourceFile, delimiter: str, scratch: Path) -> list[str] | None:
    """The columns that a CSV or Parquet file declares; None for JSONL, where every row may differ."""
    if source.format == "jsonl":
        return None
    if source.format == "csv":
        with unpacked(source) as (stream, _):
            return _csv_header(source, csv.reader(_text_lines(source, stream), delimiter=delimiter, strict=True))
    with plain_parquet(source, scratch) as path:
        return _scan(source, path).collect_schema().names()


def _jsonl_rows(stream: Any) -> Iterator[NumberedRow]:
    for number, line in enumerate(bounded_lines(stream), start=1):
        if line is None:
            yield number, RowProblem("", "the line is longer than 8 MiB")
        elif line.strip():
            yield number, _json_row(line.removeprefix(b"\xef\xbb\xbf"))


def _json_row(line: bytes) -> Row | RowProblem:
    try:
        row = json.loads(line)
        # A lone half of a surrogate pair is legal in JSON and in no table; it can only come from an escape.
        row = _without_surrogates(row) if b"\\ud" in line or b"\\uD" in line else row
    except UnicodeDecodeError as error:
        return RowProblem("", f"not valid UTF-8 at byte {error.start}", _excerpt(line))
    except (ValueError, RecursionError) as error:
        return RowProblem("", f"not valid JSON: {error}", _excerpt(line))
    if not isinstance(row, dict):
        return RowProblem("", f"expected a JSON object, got {_TYPE_NAMES.get(type(row), 'null')}", _excerpt(line))
    return row


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(entry) for entry in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(entry) for key, entry in value.items()}
    return value


def _csv_rows(source: SourceFile, stream: Any, delimiter: str) -> Iterator[NumberedRow]:
    # strict: without it an unclosed quote swallows the rows after it and nobody sees.
    reader = csv.reader(_text_lines(source, stream), delimiter=delimiter, strict=True)
    header = _csv_header(source, reader)
    number = 1
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise SourceFileError(f"{source.path}: row {number} opens a quote that is never closed") from error
            yield number, RowProblem("", f"not valid CSV: {error}")
            continue
        if cells:
            yield number, _csv_row(header, cells)


def _csv_row(header: list[str], cells: list[str]) -> Row | RowProblem:
    if len(cells) != len(header):
        return RowProblem("", f"expected {len(header)} cells as in the header, got {len(cells)}", ",".join(cells)[:200])
    text = "".join(cells)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return RowProblem("", "not valid UTF-8", _excerpt(text.encode("utf-8", "surrogateescape")))
    return dict(zip(header, cells, strict=True))


def _csv_header(source: SourceFile, reader: Any) -> list[str]:
    try:
        header = [name.strip() for name in next(reader)]
    except (StopIteration, csv.Error) as error:
        raise SourceFileError(f"{source.path}: row 1 is not a CSV header: {error or 'it is missing'}") from error
    if "".join(header).encode("utf-8", "replace").decode() != "".join(header):
        raise SourceFileError(f"{source.path}: row 1 is not valid UTF-8")
    if not all(header) or len(set(header)) != len(header):
        names = ", ".join(header)[:200]
        raise SourceFileError(f"{source.path}: row 1: expected column names that differ from each other, got {names}")
    return header


def _text_lines(source: SourceFile, stream: Any) -> Iterator[str]:
    encoding = "utf-8-sig"  # spreadsheets put a byte order mark first
    for line in bounded_lines(stream):
        if line is None:
            raise SourceFileError(f"{source.path}: a line is longer than 8 MiB; is this a CSV file?")
        yield line.decode(encoding, "surrogateescape")
        encoding = "utf-8"


def _parquet_rows(
    source: SourceFile, wanted: Callable[[str], bool], scratch: Path, progress: Progress
) -> Iterator[NumberedRow]:
    with plain_parquet(source, scratch) as path:
        table = _scan(source, path)
        total = _readable(source, lambda: int(table.select(pl.len()).collect().item()))
        names = [name for name in table.collect_schema().names() if wanted(name)]
        for start in range(0, total, BATCH_ROWS):
            progress("read", start, total)
            part = table.select(names).slice(start, BATCH_ROWS)
            batch = _readable(source, part.collect)
            yield from enumerate(batch.iter_rows(named=True), start=start + 1)


def _scan(source: SourceFile, path: Path) -> pl.LazyFrame:
    table = pl.scan_parquet(path, hive_partitioning=False, glob=False)
    _readable(source, table.collect_schema)
    return table


def _readable(source: SourceFile, read: Callable[[], T]) -> T:
    try:
        return read()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceFileError(f"{source.path}: not a readable Parquet file: {reason}") from error


def _excerpt(line: bytes) -> str:
    return line[:200].decode("utf-8", "backslashreplace").strip()
