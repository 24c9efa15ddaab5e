"""A file of some bytes, read as an import reads it."""

from pathlib import Path
from typing import Any

from shopfuse.datasets.importing.readers.tables import FileOptions, SourceTable, open_table
from shopfuse.datasets.importing.source_file import open_source


def opened(path: Path, data: bytes, options: FileOptions | None = None) -> SourceTable:
    path.write_bytes(data)
    return open_table(open_source(path), options or FileOptions(), path.parent)


def read(path: Path, data: bytes, options: FileOptions | None = None) -> list[tuple[int, Any]]:
    """The numbered rows, problems as their texts."""
    table = opened(path, data, options)
    rows = table.rows(lambda _name: True, path.parent)
    return [(number, row if isinstance(row, dict) else row.problem) for number, row in rows]
