"""Rows of JSON: one object a line, or the objects of the first list in one document, read as a stream by ijson."""

import codecs
import io
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import ijson

from shopfuse.datasets.importing.readers.text import UTF8, bounded_lines, excerpt, undecodable
from shopfuse.datasets.importing.source_file import SourceFile, SourceFileError, unpacked
from shopfuse.datasets.importing.source_rows import NumberedRow, Row, RowProblem

_TYPE_NAMES: Final = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true/false"}
_MARKS: Final = codecs.BOM_UTF8


def jsonl_rows(text: io.TextIOWrapper, encoding: str) -> Iterator[NumberedRow]:
    """One object a line, numbered by their lines; blank lines are passed over."""
    for number, line in enumerate(bounded_lines(text), start=1):
        if line is None:
            yield number, RowProblem("", "the line is longer than 8 MiB")
        elif not line.isspace():
            yield number, _line_row(line, encoding)


def _line_row(line: str, encoding: str) -> Row | RowProblem:
    if problem := undecodable(line, encoding):
        return RowProblem("", problem, excerpt(line))
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return RowProblem("", f"not valid JSON: {error}", excerpt(line))
    # A lone half of a surrogate pair is legal in JSON and in no table; it can only come from an escape.
    row = without_surrogates(row) if "\\ud" in line or "\\uD" in line else row
    return row if isinstance(row, dict) else _not_an_object(row)


def json_rows(source: SourceFile, stream: BinaryIO, encoding: str, path: str) -> Iterator[NumberedRow]:
    """The objects of the list at `path`, as find_list gives it, numbered from 1."""
    number = 0
    try:
        for number, row in enumerate(ijson.items(_utf8(stream, encoding), path, use_float=True), start=1):
            yield number, without_surrogates(row) if isinstance(row, dict) else _not_an_object(row)
    except (ijson.JSONError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise SourceFileError(
            f"{source.path}: not valid JSON after row {number}: {one_line(error)}; was the copy cut off?"
        ) from error


def find_list(source: SourceFile, encoding: str) -> str:
    """Where the objects of a document are, as ijson writes it: its first list of objects, else itself."""
    try:
        with unpacked(source) as (stream, _):
            opened = ""
            for prefix, event, _value in ijson.parse(_utf8(stream, encoding)):
                if event == "start_map" and opened and prefix == opened:
                    return opened
                opened = (f"{prefix}.item" if prefix else "item") if event == "start_array" else ""
    except (ijson.JSONError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise SourceFileError(f"{source.path}: not valid JSON: {one_line(error)}; was the copy cut off?") from error
    return ""


def _utf8(stream: BinaryIO, encoding: str) -> Any:
    """The bytes in UTF-8 without a byte order mark, as ijson wants them."""
    if encoding == UTF8:
        buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
        if buffered.peek(len(_MARKS)).startswith(_MARKS):
            buffered.read(len(_MARKS))
        return buffered
    return _Recoded(io.TextIOWrapper(stream, encoding))


class _Recoded:
    """A text as a file of UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def read(self, size: int = -1) -> bytes:
        return self._text.read(size).encode()


def _not_an_object(row: object) -> RowProblem:
    return RowProblem("", f"expected a JSON object, got {_TYPE_NAMES.get(type(row), 'null')}", str(row)[:200])


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [without_surrogates(entry) for entry in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(entry) for key, entry in value.items()}
    return value
