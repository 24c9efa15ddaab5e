"""One input file of an import: how it is packed, which format it holds, and its bytes unpacked.

The first bytes decide, not the name; a name that promises a binary format which is not there is told as damage. Reading
rows is the readers' task.
"""

import gzip
import io
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

from shopfuse.core.errors import ShopfuseError

CSV, JSONL, JSON, XML, PARQUET, SPREADSHEET = "csv", "jsonl", "json", "xml", "parquet", "spreadsheet"
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"  # .xls, and spreadsheets under a password
_PARQUET: Final = b"PAR1"
_SHEETS: Final = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")  # members of .xlsx, .xlsb, .ods
_PROMISES: Final = {
    ".gz": "gzip data",
    ".zip": "a zip archive",
    ".parquet": "a Parquet file",
    ".xlsx": "a spreadsheet",
    ".xls": "a spreadsheet",
}
_SNIFF: Final = 65536


class SourceFileError(ShopfuseError):
    """The file as a whole cannot be read: missing, empty, damaged, or of no format that is known."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that exists, and what its first bytes say."""

    path: Path
    format: str  # CSV, JSONL, JSON, XML, PARQUET or SPREADSHEET
    packing: str = ""  # gzip, zip or none
    member: str = ""  # the file inside a zip archive

    @property
    def size(self) -> int:
        return self.path.stat().st_size


def open_source(path: Path) -> SourceFile:
    """Look at the first bytes of an input file; SourceFileError says what is wrong with it."""
    if not path.is_file():
        raise SourceFileError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    if path.stat().st_size == 0:
        raise SourceFileError(f"{path}: the file is empty")
    packing, member = _packing(path)
    source = SourceFile(path, "", packing, member)
    with unpacked(source) as (stream, _):
        head = stream.read(_SNIFF)
    if not head:
        raise SourceFileError(f"{path}: the file is empty")
    name = PurePosixPath(member) if member else path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return SourceFile(path, _format(path, name.suffix.lower(), head), packing, member)


def _packing(path: Path) -> tuple[str, str]:
    """How the file is packed, and the one member of an archive."""
    with path.open("rb") as file:
        magic = file.read(4)
    suffix, sheet = path.suffix.lower(), False
    if magic == _ZIP:
        names = _members(path)
        sheet = any(name in names for name in _SHEETS)
        files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if not sheet and len(files) != 1:
            raise SourceFileError(
                f"{path}: expected one file in the archive, got {len(files)}: {', '.join(files)[:200]}"
            )
    packing = "gzip" if magic[:2] == _GZIP else "zip" if magic == _ZIP and not sheet else ""
    if suffix in (".gz", ".zip") and packing != suffix[1:].replace("gz", "gzip"):
        raise SourceFileError(f"{path}: ends in {suffix} but is not {_PROMISES[suffix]}")
    return packing, files[0] if packing == "zip" else ""


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise SourceFileError(f"{path}: the zip data is damaged or ends too early; was the copy cut off?") from error


def _format(path: Path, suffix: str, head: bytes) -> str:
    """From the first bytes; the name only tells one JSON text from one JSON text a line."""
    if head[:4] == _PARQUET:
        return PARQUET
    if head[:4] in (_ZIP, _OLE):
        return SPREADSHEET
    if suffix in _PROMISES:
        raise SourceFileError(f"{path}: is not {_PROMISES[suffix]}, whatever its name says")
    if b"\0" in head and not looks_like_utf16(head):
        raise SourceFileError(f"{path}: holds binary data, not text")
    start = head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    start = start.lstrip()
    if start[:1] == b"<":
        return XML
    if start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"]", b""):
        return JSON
    if start[:1] == b"{" and suffix not in (".jsonl", ".ndjson"):
        return JSON if _is_one_document(start, suffix) else JSONL
    return JSONL if suffix in (".jsonl", ".ndjson") else CSV


def _is_one_document(start: bytes, suffix: str) -> bool:
    """Whether an opening brace begins a text of its own rather than the first of many lines."""
    first, _, rest = start.partition(b"\n")
    if first.rstrip().endswith(b"}"):
        return suffix == ".json" and not rest.lstrip().startswith(b"{")
    return bool(rest)


def looks_like_utf16(head: bytes) -> bool:
    """Whether the NUL bytes of a text are halves of UTF-16 or UTF-32 characters."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    odd, even = head[1::2].count(0), head[::2].count(0)
    return max(odd, even) > len(head) // 5 and min(odd, even) * 20 < max(odd, even)


@contextmanager
def unpacked(source: SourceFile) -> Iterator[tuple[io.BufferedReader, BinaryIO]]:
    """The unpacked bytes, and the file underneath whose position tells how far reading is."""
    with source.path.open("rb") as raw:
        try:
            if source.packing == "gzip":
                with gzip.GzipFile(fileobj=raw) as packed:
                    yield io.BufferedReader(cast(io.RawIOBase, packed), 2**18), raw
            elif source.packing == "zip":
                with zipfile.ZipFile(raw) as archive, archive.open(source.member) as member:
                    yield io.BufferedReader(cast(io.RawIOBase, member), 2**18), raw
            else:
                yield raw, raw
        except EOFError as error:
            raise SourceFileError(
                f"{source.path}: the {source.packing} data ends too early; was the copy cut off?"
            ) from error
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            if not source.packing:
                raise
            raise SourceFileError(f"{source.path}: the {source.packing} data is damaged: {error}") from error


@contextmanager
def plain_file(source: SourceFile, scratch: Path) -> Iterator[Path]:
    """A path to the file itself, unpacked into `scratch` where it is packed."""
    if not source.packing:
        yield source.path
        return
    plain = scratch / "unpacked"
    try:
        with unpacked(source) as (stream, _), plain.open("wb") as file:
            shutil.copyfileobj(stream, file, 2**20)
        yield plain
    finally:
        plain.unlink(missing_ok=True)
