"""Rows of a text with a delimiter, as spreadsheets and shop systems write it.

Rows are numbered as a spreadsheet shows them: the header is row 1, after a first line `sep=;` where there is one.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from shopfuse.datasets.importing.readers.text import MAX_LINE, bounded_lines, excerpt, open_text, undecodable
from shopfuse.datasets.importing.source_file import SourceFile, SourceFileError
from shopfuse.datasets.importing.source_rows import NumberedRow, Row, RowProblem

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_LINES: Final = 200
_SAMPLE_CHARACTERS: Final = 2**16
_MAX_FIELD: Final = 2**20  # characters; a longer field is a quote that is never closed


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How one file writes its rows; `header` without the columns that trailing delimiters make."""

    encoding: str
    delimiter: str
    header: list[str]
    told: bool  # whether the first line tells the delimiter


def csv_form(source: SourceFile, encoding: str, delimiter: str) -> CsvForm:
    """Look at the first lines; `delimiter` is empty where the mapping does not say it."""
    with open_text(source, encoding, "") as (text, _):
        lines = _sample(source, text)
    told = _told_delimiter(lines[0]) if lines else ""
    delimiter = delimiter or told or _sniff(lines)
    reader = csv.reader(lines[bool(told) :], delimiter=delimiter, strict=True)
    return CsvForm(encoding, delimiter, _header(source, reader, encoding), bool(told))


def csv_rows(source: SourceFile, text: io.TextIOWrapper, form: CsvForm) -> Iterator[NumberedRow]:
    """The rows after the header; blank ones are passed over."""
    csv.field_size_limit(_MAX_FIELD)
    # strict: without it an unclosed quote swallows the rows after it and nobody sees.
    lines = islice(_whole_lines(source, text), int(form.told), None)
    reader = csv.reader(lines, delimiter=form.delimiter, strict=True)
    next(reader)
    number = 1
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error) or "field limit" in str(error):
                raise SourceFileError(f"{source.path}: row {number} opens a quote that is never closed") from error
            yield number, RowProblem("", f"not valid CSV: {error}")
            continue
        if any(cells):
            yield number, _row(form, cells)


def _row(form: CsvForm, cells: list[str]) -> Row | RowProblem:
    header = form.header
    if len(cells) != len(header):
        if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            problem = f"expected {len(header)} cells as in the header, got {len(cells)}"
            return RowProblem("", problem, excerpt(form.delimiter.join(cells)))
        cells = cells[: len(header)]  # trailing delimiters
    if problem := undecodable(form.delimiter.join(cells), form.encoding):
        return RowProblem("", problem, excerpt(form.delimiter.join(cells)))
    return dict(zip(header, cells, strict=True))


def _header(source: SourceFile, reader: Any, encoding: str) -> list[str]:
    try:
        header = [name.strip() for name in next(reader)]
    except (StopIteration, csv.Error) as error:
        raise SourceFileError(f"{source.path}: row 1 is not a CSV header: {error or 'it is missing'}") from error
    header = _filled(header)
    if problem := undecodable(";".join(header), encoding):
        raise SourceFileError(f"{source.path}: row 1 is {problem}")
    header = [name or f"column {place}" for place, name in enumerate(header, start=1)]
    if not header or len(set(header)) != len(header):
        names = ", ".join(header)[:200]
        raise SourceFileError(f"{source.path}: row 1: expected column names that differ from each other, got {names}")
    return header


def _sample(source: SourceFile, text: io.TextIOWrapper) -> list[str]:
    lines: list[str] = []
    size = 0
    for line in _whole_lines(source, text):
        lines.append(line)
        size += len(line)
        if len(lines) >= _SAMPLE_LINES or size >= _SAMPLE_CHARACTERS:
            break
    return lines


def _told_delimiter(line: str) -> str:
    """Of a first line `sep=;`, which Excel reads and writes."""
    told = line.strip("\r\n").strip('"')
    return told[4:] if told[:4].lower() == "sep=" and len(told) == 5 else ""


def _sniff(lines: list[str]) -> str:
    """The delimiter that gives most rows the width of the header; among those, the one that gives more columns."""
    best, score = _DELIMITERS[0], (0.0, 0)
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(row)]
        except csv.Error:
            continue
        width = len(_filled(rows[0])) if rows else 0
        if width > 1:
            fitting = sum(len(row) in (width, len(rows[0])) or len(_filled(row)) == width for row in rows) / len(rows)
            if (round(fitting, 1), width) > score:
                best, score = delimiter, (round(fitting, 1), width)
    return best


def _filled(cells: list[str]) -> list[str]:
    """The cells without blank ones at the end."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _whole_lines(source: SourceFile, text: io.TextIOWrapper) -> Iterator[str]:
    for line in bounded_lines(text):
        if line is None:
            raise SourceFileError(f"{source.path}: a line is longer than {MAX_LINE >> 20} MiB; is this a CSV file?")
        yield line
