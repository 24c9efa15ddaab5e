"""One input file of an import: what format it is in, checked against its first bytes, and its bytes unpacked.

It opens and checks; reading rows out of it is source_rows.
"""

import gzip
import io
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from shopfuse.core.errors import ShopfuseError

FORMATS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
MAX_LINE: Final = 8 * 2**20  # bytes; a longer line is damage, and would be held in memory whole
_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_SNIFF: Final = 65536


class SourceFileError(ShopfuseError):
    """The file as a whole cannot be read: missing, empty, damaged, or not in the format that its name says."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that exists and whose first bytes agree with its name."""

    path: Path
    format: str  # jsonl, csv or parquet
    gzipped: bool

    @property
    def size(self) -> int:
        return self.path.stat().st_size


def open_source(path: Path) -> SourceFile:
    """Check name and first bytes of an input file; SourceFileError says what is wrong with it."""
    if not path.is_file():
        raise SourceFileError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    if path.stat().st_size == 0:
        raise SourceFileError(f"{path}: the file is empty")
    gzipped = path.suffix.lower() == ".gz"
    suffix = Path(path.stem).suffix.lower() if gzipped else path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise SourceFileError(f"{path}: unknown extension {suffix or '(none)'}; expected {known}, each also with .gz")
    source = SourceFile(path, FORMATS[suffix], gzipped)
    _check_first_bytes(source)
    return source


def _check_first_bytes(source: SourceFile) -> None:
    with source.path.open("rb") as file:
        packed = file.read(2) == _GZIP
    if packed != source.gzipped:
        problem = "is gzip data but its name does not end in .gz" if packed else "ends in .gz but is not gzip data"
        raise SourceFileError(f"{source.path}: {problem}")
    with unpacked(source) as (stream, _):
        head = stream.read(_SNIFF)
    if not head:
        raise SourceFileError(f"{source.path}: the file is empty")
    if (head[:4] == _PARQUET) != (source.format == "parquet"):
        problem = "is not a Parquet file" if source.format == "parquet" else "is a Parquet file; name it .parquet"
        raise SourceFileError(f"{source.path}: {problem}")
    if source.format != "parquet" and b"\0" in head:
        raise SourceFileError(f"{source.path}: holds binary data, not UTF-8 text")


@contextmanager
def unpacked(source: SourceFile) -> Iterator[tuple[io.BufferedReader, BinaryIO]]:
    """The unpacked bytes, and the file underneath whose position tells how far reading is."""
    with source.path.open("rb") as raw:
        try:
            if not source.gzipped:
                yield raw, raw
                return
            with gzip.GzipFile(fileobj=raw) as packed:
                yield io.BufferedReader(cast(io.RawIOBase, packed), 2**18), raw
        except EOFError as error:
            raise SourceFileError(f"{source.path}: the gzip data ends too early; was the copy cut off?") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise SourceFileError(f"{source.path}: the gzip data is damaged: {error}") from error


def bounded_lines(stream: io.BufferedReader) -> Iterator[bytes | None]:
    """Lines with their ends; None stands for a line of more than MAX_LINE bytes, which is skipped."""
    while line := stream.readline(MAX_LINE):
        if len(line) < MAX_LINE or line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
            pass
        yield None


@contextmanager
def plain_parquet(source: SourceFile, scratch: Path) -> Iterator[Path]:
    """A path to the Parquet file itself, unpacked into `scratch` where it is gzipped."""
    if not source.gzipped:
        yield source.path
        return
    plain = scratch / "unpacked.parquet"
    try:
        with unpacked(source) as (stream, _), plain.open("wb") as file:
            shutil.copyfileobj(stream, file, 2**20)
        yield plain
    finally:
        plain.unlink(missing_ok=True)
