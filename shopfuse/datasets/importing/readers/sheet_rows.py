"""Rows of a spreadsheet (.xlsx, .xls, .xlsb, .ods) by calamine. The one format that is held in memory whole.

Rows are numbered as the spreadsheet shows them; the first row that is not blank is the header. Formulas come with the
value that was stored with them.
"""

from collections.abc import Callable, Iterator
from datetime import time, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from zipfile import BadZipFile, ZipFile

import python_calamine as calamine

from shopfuse.datasets.importing.source_file import SourceFile, SourceFileError
from shopfuse.datasets.importing.source_rows import NumberedRow, Row, RowProblem

MAX_UNPACKED: Final = 4 * 2**30  # bytes; more than a full sheet has, and a bomb would unpack without bound

T = TypeVar("T")


def sheet_rows(source: SourceFile, path: Path, sheet: str) -> Iterator[NumberedRow]:
    """Rows after the header of the sheet of that name, else of the first that is visible and not empty."""
    rows = _rows(source, path, sheet)
    header: list[str] = []
    for number, cells in rows:
        if all(cell == "" for cell in cells):
            continue
        if not header:
            header = _header(source, number, cells)
            continue
        if any(cell != "" for cell in cells[len(header) :]):
            yield number, RowProblem("", f"expected {len(header)} cells as in the header, got more", str(cells)[:200])
        else:
            yield number, _row(header, cells)


def sheet_header(source: SourceFile, path: Path, sheet: str) -> list[str]:
    """The names of the columns."""
    for number, cells in _rows(source, path, sheet):
        if any(cell != "" for cell in cells):
            return _header(source, number, cells)
    raise SourceFileError(f"{source.path}: the sheet has no row")


def _rows(source: SourceFile, path: Path, sheet: str) -> Iterator[tuple[int, list[Any]]]:
    _check_size(source, path)
    book = _readable(source, lambda: calamine.CalamineWorkbook.from_path(str(path)))
    names = book.sheet_names
    if sheet and sheet not in names:
        raise SourceFileError(f"{source.path}: has no sheet '{sheet}'; it has {', '.join(names)[:200]}")
    visible = [meta.name for meta in book.sheets_metadata if meta.visible == calamine.SheetVisibleEnum.Visible]
    for name in [sheet] if sheet else visible or names:
        table = _readable(source, lambda name=name: book.get_sheet_by_name(name))  # type: ignore[misc]
        if table.height:
            yield from enumerate(table.iter_rows(), start=1)
            return


def _check_size(source: SourceFile, path: Path) -> None:
    try:
        with ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (BadZipFile, ValueError, OSError):
        return  # an older form, or damage that calamine names
    if size > MAX_UNPACKED:
        raise SourceFileError(f"{source.path}: unpacks to {size >> 20} MiB, which is no spreadsheet")


def _header(source: SourceFile, number: int, cells: list[Any]) -> list[str]:
    names = [str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    names = [name or f"column {place}" for place, name in enumerate(names, start=1)]
    if len(set(names)) != len(names):
        raise SourceFileError(
            f"{source.path}: row {number}: expected column names that differ from each other, got "
            f"{', '.join(names)[:200]}"
        )
    return names


def _row(header: list[str], cells: list[Any]) -> Row:
    return {name: _value(cell) for name, cell in zip(header, cells, strict=False)}


def _value(cell: Any) -> Any:
    """As JSON would have it: whole numbers without their ".0", None for a blank cell, times of day as text."""
    if cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return str(cell) if isinstance(cell, time | timedelta) else cell


def _readable(source: SourceFile, read: Callable[[], T]) -> T:
    try:
        return read()
    except calamine.PasswordError as error:
        raise SourceFileError(f"{source.path}: is protected by a password; save it without") from error
    except BaseException as error:
        # calamine is Rust: what it does not expect is a panic, which is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceFileError(f"{source.path}: not a readable spreadsheet: {reason}") from error
