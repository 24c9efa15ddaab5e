"""Import of labelled photos: images of items as people take them become photos.parquet of a workspace.

They teach the image encoder what an item looks like outside the studio, and take part in the item's image vector.
Photos are kept small: no encoder sees more than PHOTO_SIDE pixels a side.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from PIL import Image

from shopfuse.core.atomic_files import atomic_file
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.importing.photo_source import (
    MAX_PHOTOS,
    Label,
    PhotoSource,
    PhotoSourceError,
    open_photos,
    read_labels,
)
from shopfuse.datasets.schema import PHOTO_SCHEMA
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.ranking.images import ImageError, decode_pixels

PHOTO_SIDE: Final = 512
_SMALL_BYTES: Final = 256 * 2**10  # kept as it is
_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class PhotoReport:
    """What an import did. `problems` are the first photos that were left out, and why."""

    photos: int
    added: int
    updated: int
    unchanged: int
    unknown_items: int  # photos of items that the catalogue does not hold
    rejected: int
    problems: tuple[str, ...]


def import_photos(
    source: Path,
    labels: Path,
    workspace: Workspace,
    *,
    photo_column: str = "photo",
    item_column: str = "item_id",
    only: str = "",
    max_bad_share: float = 0.05,
    progress: Progress = silent,
) -> PhotoReport:
    """Brings the photos of a folder or zip into the workspace: new names are added, known ones replaced.

    Photos of unknown items are left out and counted. Raises PhotoSourceError where too many photos are bad,
    WorkspaceError without a catalogue, WorkspaceLockedError; the workspace is then as it was.
    """
    wanted = read_labels(labels, photo_column, item_column, only)
    known = set(workspace.items().select("item_id").collect()["item_id"].to_list())
    with workspace_lock(workspace.root):
        read, problems = _read_all(source, [label for label in wanted if label.item_id in known], progress)
        if len(problems) > max_bad_share * len(wanted):
            raise PhotoSourceError(f"{source}: {len(problems)} of {len(wanted)} photos are bad, such as {problems[0]}")
        before = workspace.photos().collect()
        after = pl.concat([before.join(read, on="photo", how="anti"), read]).sort("photo")
        if len(after) > MAX_PHOTOS:
            raise PhotoSourceError(f"{source}: {len(after)} photos with those there are, expected at most {MAX_PHOTOS}")
        if not after.equals(before):
            with atomic_file(workspace.paths.photos) as path:
                after.write_parquet(path, row_group_size=1024)
    same, updated = len(read.join(before, on=["photo", "item_id", "image"])), len(read.join(before, on="photo"))
    return PhotoReport(
        photos=len(wanted),
        added=len(read) - updated,
        updated=updated - same,
        unchanged=same,
        unknown_items=sum(label.item_id not in known for label in wanted),
        rejected=len(problems),
        problems=tuple(problems[:5]),
    )


def _read_all(source: Path, labels: list[Label], progress: Progress) -> tuple[pl.DataFrame, list[str]]:
    rows, problems = [], []
    with open_photos(source) as photos:
        for done, label in enumerate(labels, 1):
            try:
                rows.append((label.photo, label.item_id, _checked(photos, label)))
            except (PhotoSourceError, ImageError) as error:
                problems.append(f"{label.photo} (row {label.row}): {error}")
            progress("read photos", done, len(labels))
    return pl.DataFrame(rows, schema=PHOTO_SCHEMA, orient="row"), problems


def _checked(photos: PhotoSource, label: Label) -> bytes:
    """The photo's bytes, decoded once to prove that they are whole, and made small."""
    data = photos.read(label)
    if len(data) <= _SMALL_BYTES:
        decode_pixels(data)
        return data
    buffer = io.BytesIO()
    Image.fromarray(decode_pixels(data, PHOTO_SIDE)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
