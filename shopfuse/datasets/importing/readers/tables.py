"""A source opened as a table, whatever its format: the columns that it declares, and its rows as a stream.

A row that cannot be read comes out as a `RowProblem` and reading goes on; a file that cannot be read raises
SourceFileError.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.importing.readers.csv_rows import CsvForm, csv_form, csv_rows
from shopfuse.datasets.importing.readers.json_rows import find_list, json_rows, jsonl_rows
from shopfuse.datasets.importing.readers.sheet_rows import sheet_header, sheet_rows
from shopfuse.datasets.importing.readers.text import find_encoding, open_text
from shopfuse.datasets.importing.readers.xml_rows import xml_rows
from shopfuse.datasets.importing.source_file import (
    CSV,
    JSON,
    JSONL,
    PARQUET,
    SPREADSHEET,
    XML,
    SourceFile,
    SourceFileError,
    plain_file,
    unpacked,
)
from shopfuse.datasets.importing.source_rows import BATCH_ROWS, REPORT_EVERY, NumberedRow

_NAMES: Final = {CSV: "CSV", JSONL: "JSONL", JSON: "JSON", XML: "XML", PARQUET: "Parquet", SPREADSHEET: "spreadsheet"}
_DELIMITERS: Final = {"\t": "tabs", ",": "commas", ";": "semicolons"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What a mapping says of the file itself; empty where the file is to be looked at."""

    delimiter: str = ""
    encoding: str = ""  # as Python's codecs call it
    sheet: str = ""  # of a spreadsheet


NOTHING_SAID: Final = FileOptions()


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A source that was looked at: see `open_table`."""

    source: SourceFile
    columns: list[str] | None  # that it declares; None where every row may differ
    encoding: str  # empty for binary formats and for XML, which declares its own
    csv: CsvForm | None = None
    place: str = ""  # of a JSON document: where its objects are
    sheet: str = ""
    guessed: bool = False  # whether the encoding is neither what the mapping says nor what the file shows itself

    @property
    def described(self) -> str:
        """What it was taken for, in words."""
        words = [_NAMES[self.source.format]]
        if self.csv is not None:
            words.append(f"separated by {_DELIMITERS.get(self.csv.delimiter, repr(self.csv.delimiter))}")
        if self.encoding:
            words.append(self.encoding)
        return ", ".join(words)

    def rows(self, wanted: Callable[[str], bool], scratch: Path, progress: Progress = silent) -> Iterator[NumberedRow]:
        """Numbered rows. `wanted` tells which columns of a Parquet file to decode."""
        if self.source.format in (PARQUET, SPREADSHEET):
            with plain_file(self.source, scratch) as path:
                if self.source.format == PARQUET:
                    yield from _parquet_rows(self.source, path, wanted, progress)
                else:
                    yield from sheet_rows(self.source, path, self.sheet)
            return
        with self._stream() as (rows, position):
            for count, row in enumerate(rows):
                if count % REPORT_EVERY == 0:
                    progress("read", position(), self.source.size)
                yield row

    @contextmanager
    def _stream(self) -> Iterator[tuple[Iterator[NumberedRow], Callable[[], int]]]:
        """The rows of a text, and how many bytes of the file were read."""
        source = self.source
        if source.format in (JSON, XML):
            with unpacked(source) as (stream, raw):
                if source.format == JSON:
                    yield json_rows(source, stream, self.encoding, self.place), raw.tell
                else:
                    yield xml_rows(source, stream, self.encoding), raw.tell
            return
        with open_text(source, self.encoding, "\n" if source.format == JSONL else "") as (text, raw):
            if self.csv is not None:
                yield csv_rows(source, text, self.csv), raw.tell
            else:
                yield jsonl_rows(text, self.encoding), raw.tell


def open_table(source: SourceFile, options: FileOptions, scratch: Path) -> SourceTable:
    """Find out how the file is written. Reads a text once to know its encoding, unless that is given."""
    if source.format in (PARQUET, SPREADSHEET):
        with plain_file(source, scratch) as path:
            parquet = source.format == PARQUET
            columns = _parquet_header(source, path) if parquet else sheet_header(source, path, options.sheet)
        return SourceTable(source, columns, "", sheet=options.sheet)
    if source.format == XML:
        return SourceTable(source, None, options.encoding)
    encoding = options.encoding or find_encoding(source)
    guessed = not options.encoding and not encoding.startswith("utf")
    if source.format == CSV:
        form = csv_form(source, encoding, options.delimiter)
        return SourceTable(source, form.header, encoding, csv=form, guessed=guessed)
    place = find_list(source, encoding) if source.format == JSON else ""
    return SourceTable(source, None, encoding, place=place, guessed=guessed)


def _parquet_rows(
    source: SourceFile, path: Path, wanted: Callable[[str], bool], progress: Progress
) -> Iterator[NumberedRow]:
    """Rows of the file at `path`, of the columns that are wanted."""
    table = _scan(source, path)
    total = _readable(source, lambda: int(table.select(pl.len()).collect().item()))
    names = [name for name in table.collect_schema().names() if wanted(name)]
    for start in range(0, total, BATCH_ROWS):
        progress("read", start, total)
        part = table.select(names).slice(start, BATCH_ROWS)
        batch = _readable(source, part.collect)
        yield from enumerate(batch.iter_rows(named=True), start=start + 1)


def _parquet_header(source: SourceFile, path: Path) -> list[str]:
    """The names of the columns."""
    return _scan(source, path).collect_schema().names()


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
