"""Labelled photos as a shop has them: a folder or a zip of images, and a CSV that says which item each one shows.

Reads only, and hands on bytes: what an image must be like is decided where it is used.
"""

from __future__ import annotations

import csv
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shopfuse.core.errors import ShopfuseError

MAX_PHOTO_BYTES: Final = 8 * 2**20
MAX_PHOTOS: Final = 50_000
# What zipfile raises of a damaged, encrypted or oddly packed member beside its own BadZipFile, and a folder of a file.
_UNREADABLE: Final = (
    *(OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class PhotoSourceError(ShopfuseError):
    """The photos or their labels cannot be read; the message names the file, and the row or column."""


@dataclass(frozen=True, slots=True)
class Label:
    """One photo by its name in the source, the item it shows, and where the CSV says so."""

    photo: str
    item_id: str
    row: int


def read_labels(path: Path, photo_column: str, item_column: str, only: str = "") -> list[Label]:
    """The rows of a CSV with a header whose photo's name starts with `only`.

    Raises PhotoSourceError where the file, a column or a value is missing, a photo comes twice, or there are too many.
    """
    labels: dict[str, Label] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_columns(path, reader.fieldnames or (), photo_column, item_column)
            for row, values in enumerate(reader, 2):
                photo, item_id = ((values[column] or "").strip() for column in (photo_column, item_column))
                if not photo.startswith(only):
                    continue
                _check_row(path, row, photo, item_id, photo in labels)
                labels[photo] = Label(photo, item_id, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PhotoSourceError(f"{path}: cannot be read: {error}") from error
    if not labels:
        raise PhotoSourceError(f"{path}: no row whose {photo_column} starts with {only!r}")
    if len(labels) > MAX_PHOTOS:
        raise PhotoSourceError(f"{path}: {len(labels)} photos, expected at most {MAX_PHOTOS}")
    return list(labels.values())


def _check_columns(path: Path, names: Sequence[str], *wanted: str) -> None:
    for column in wanted:
        if column not in names:
            raise PhotoSourceError(f"{path}: no column {column!r} (found: {', '.join(names)})")


def _check_row(path: Path, row: int, photo: str, item_id: str, seen: bool) -> None:
    if not photo or not item_id:
        raise PhotoSourceError(f"{path}, row {row}: expected a photo and an item, got {photo!r} and {item_id!r}")
    if seen:
        raise PhotoSourceError(f"{path}, row {row}: photo {photo!r} is labelled twice")


class PhotoSource:
    """A folder or a zip of photos. Build it with `open_photos`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None) -> None:
        self._path, self._archive = path, archive

    def read(self, label: Label) -> bytes:
        """The bytes of a photo. Raises PhotoSourceError naming it where it is missing, outside, or too large."""
        try:
            data = self._from_archive(label.photo) if self._archive else self._from_folder(label.photo)
        except _UNREADABLE as error:
            raise PhotoSourceError(f"{self._path}: photo {label.photo!r} (row {label.row}): {error}") from error
        if len(data) > MAX_PHOTO_BYTES:
            raise PhotoSourceError(
                f"{self._path}: photo {label.photo!r} (row {label.row}): more than {MAX_PHOTO_BYTES // 2**20} MiB"
            )
        return data

    def _from_archive(self, name: str) -> bytes:
        assert self._archive is not None
        with self._archive.open(name) as file:  # bounded while it is unpacked: a zip may claim any size
            return file.read(MAX_PHOTO_BYTES + 1)

    def _from_folder(self, name: str) -> bytes:
        path = (self._path / name).resolve()
        if not path.is_relative_to(self._path.resolve()):
            raise ValueError("lies outside the folder")
        with path.open("rb") as file:
            return file.read(MAX_PHOTO_BYTES + 1)


@contextmanager
def open_photos(path: Path) -> Iterator[PhotoSource]:
    """The photos of a folder or a zip. Raises PhotoSourceError where it is neither."""
    if path.is_dir():
        yield PhotoSource(path, None)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise PhotoSourceError(f"{path}: neither a folder nor a zip: {error}") from error
    with archive:
        yield PhotoSource(path, archive)
