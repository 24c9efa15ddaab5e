"""The images of a catalogue import: collected beside the rows, merged into images.parquet once the rows are settled.

Images are found beside the catalogue, checked, and stored as PNG or JPEG bytes. Those at a web address are not fetched:
an import must not depend on other people's servers. Images are far larger than rows, so runs and ranges are bounded by
bytes, not by rows.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
from PIL import Image

from shopfuse.datasets.importing.report import RejectLog
from shopfuse.datasets.importing.sorted_runs import KeyRange, read_range, run_schema, write_run, write_stream
from shopfuse.datasets.importing.source_rows import RowProblem
from shopfuse.datasets.schema import IMAGE_SCHEMA
from shopfuse.ranking.images import ImageError, open_image

MAX_IMAGE_BYTES: Final = 8 * 2**20
RUN_BYTES: Final = 64 * 2**20
_RUN_SCHEMA: Final = run_schema(IMAGE_SCHEMA)
_STORED: Final = ("PNG", "JPEG")


class ImageRuns:
    """Images read so far: sorted runs on disk, and a buffer of at most RUN_BYTES."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        self.paths: list[Path] = []
        self._scratch = scratch
        self._folder = folder
        self._buffer: list[tuple[int, str, bytes]] = []
        self._buffered = 0

    def collect(self, items: pl.DataFrame, log: RejectLog) -> pl.DataFrame:
        """Read the images that lie beside the catalogue; gives the items without the uri of a broken image."""
        broken: list[int] = []
        named = items.filter(pl.col("image_uri").is_not_null()).select("row", "item_id", "image_uri")
        for row, item_id, uri in named.iter_rows():
            if uri.casefold().startswith(("http://", "https://")):
                continue
            try:
                self._add(row, item_id, _read_image(self._folder, uri))
            except ImageError as error:
                broken.append(row)
                log.leave_out(row, RowProblem("image", str(error), uri[:200]))
        return items.with_columns(pl.when(~pl.col("row").is_in(broken)).then("image_uri"))

    def flush(self) -> None:
        """Write what is buffered as a run."""
        if self._buffer:
            frame = pl.DataFrame(self._buffer, schema=_RUN_SCHEMA, orient="row")
            self.paths.append(write_run(self._scratch, f"images-{len(self.paths):05d}", frame, "item_id", group=64))
        self._buffer, self._buffered = [], 0

    def _add(self, row: int, item_id: str, data: bytes) -> None:
        self._buffer.append((row, item_id, data))
        self._buffered += len(data)
        if self._buffered >= RUN_BYTES:
            self.flush()


def merge_images(old_path: Path, images: ImageRuns, winners: pl.DataFrame, target: Path) -> int:
    """Write the images of all items to `target`, or nothing when none changed; gives how many this import brought.

    `winners` (item_id, row) are the rows that the imported items come from: each brings its image or has none now.
    """
    old = [old_path] if old_path.exists() else []
    if not old and not images.paths:
        return 0
    stored = 0
    changed = not old

    def merged() -> Iterator[pl.DataFrame]:
        nonlocal stored, changed
        for key_range in _ranges([*old, *images.paths]):
            before = read_range(old, IMAGE_SCHEMA, "item_id", key_range).select(list(IMAGE_SCHEMA))
            read = read_range(images.paths, _RUN_SCHEMA, "item_id", key_range)
            new = read.join(winners, on=["item_id", "row"], how="semi").select(list(IMAGE_SCHEMA))
            after = pl.concat([before.join(winners, on="item_id", how="anti"), new]).sort("item_id")
            stored += new.height
            changed = changed or not after.equals(before)
            yield after

    write_stream(target, IMAGE_SCHEMA, merged(), group=256)
    if not changed:
        target.unlink()
    return stored


def _ranges(paths: list[Path]) -> list[KeyRange]:
    """Ranges of ids whose images hold about RUN_BYTES."""
    sizes = pl.scan_parquet(paths, hive_partitioning=False, glob=False, extra_columns="ignore").select(
        "item_id", size=pl.col("image").bin.size()
    )
    keys = sizes.collect(engine="streaming").group_by("item_id").agg(pl.col("size").sum()).sort("item_id")
    part = keys.select("item_id", part=pl.col("size").cum_sum() // RUN_BYTES)
    starts = part.unique("part", keep="first", maintain_order=True)["item_id"].to_list()
    return list(zip(starts, [*starts[1:], None], strict=True))


def _read_image(folder: Path, name: str) -> bytes:
    """The bytes of an image inside `folder`, decoded once to prove that they are whole; ImageError if not."""
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ImageError("lies outside the folder of the catalogue file")
        if not path.is_file():
            raise ImageError("no such file")
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise ImageError(f"larger than {MAX_IMAGE_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ImageError(f"cannot be read: {error}") from error
    with open_image(data) as image:
        image.load()
        return data if image.format in _STORED else _as_png(image)


def _as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()
