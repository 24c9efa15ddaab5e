"""Labelled photos come in from a folder or a zip; what is wrong with them is said by name, and changes nothing."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from shopfuse.datasets.importing.photo_source import PhotoSourceError
from shopfuse.datasets.importing.photos import PHOTO_SIDE, import_photos
from shopfuse.datasets.schema import IMAGE_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace, WorkspaceError
from shopfuse.ranking.images import decode_pixels

LABELS = "photo,item_id\ntrain/a.png,i1\ntrain/b.png,i1\nval/c.png,i2\n"


def image(shade: int, side: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 80, 160)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shop = Workspace.create(tmp_path / "shop")
    shop.paths.catalogue.mkdir()
    rows = [{"item_id": item_id, "title": item_id, "available": True} for item_id in ("i1", "i2")]
    pl.DataFrame(rows, ITEM_SCHEMA).write_parquet(shop.paths.items)
    pl.DataFrame({"item_id": ["i2"], "image": [image(9)]}, IMAGE_SCHEMA).write_parquet(shop.paths.images)
    return shop


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, shade in (("train/a.png", 10), ("train/b.png", 20), ("val/c.png", 30)):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image(shade))
    (tmp_path / "labels.csv").write_text(LABELS)
    return tmp_path / "photos"


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, str(file.relative_to(folder)))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_photos_come_in_with_their_items(workspace: Workspace, folder: Path, packed: bool) -> None:
    source = zipped(folder) if packed else folder
    report = import_photos(source, folder.parent / "labels.csv", workspace, only="train/")
    again = import_photos(source, folder.parent / "labels.csv", workspace, only="train/")

    assert (report.photos, report.added, report.rejected) == (2, 2, 0)
    assert (again.added, again.updated, again.unchanged) == (0, 0, 2)
    assert workspace.photos().collect()["photo"].to_list() == ["train/a.png", "train/b.png"]
    images = workspace.all_images().collect()
    assert images["item_id"].to_list() == ["i2", "i1", "i1"]
    assert images["image"].to_list()[1] == image(10)


def test_a_photo_of_the_same_name_is_replaced(workspace: Workspace, folder: Path) -> None:
    import_photos(folder, folder.parent / "labels.csv", workspace)
    (folder / "train/a.png").write_bytes(image(99))
    report = import_photos(folder, folder.parent / "labels.csv", workspace, only="train/a")

    assert (report.added, report.updated) == (0, 1)
    assert workspace.photos().collect().height == 3
    assert workspace.photos().filter(pl.col("photo") == "train/a.png").collect()["image"][0] == image(99)


def test_photos_of_unknown_items_are_counted_and_left_out(workspace: Workspace, folder: Path) -> None:
    (folder.parent / "labels.csv").write_text(LABELS + "train/z.png,stranger\n")
    report = import_photos(folder, folder.parent / "labels.csv", workspace)

    assert (report.added, report.unknown_items, report.rejected) == (3, 1, 0)


def test_large_photos_are_kept_small(workspace: Workspace, folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    Image.fromarray(noise).save(folder / "train/a.png")
    import_photos(folder, folder.parent / "labels.csv", workspace, only="train/a")
    kept = workspace.photos().collect()["image"][0]

    assert len(kept) < (folder / "train/a.png").stat().st_size / 2
    assert Image.open(io.BytesIO(kept)).size == (PHOTO_SIDE, PHOTO_SIDE)
    assert decode_pixels(kept).std() > 3  # still an image of noise


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("photo,class\ntrain/a.png,i1\n", r"labels\.csv: no column 'item_id' \(found: photo, class\)"),
        ("photo,item_id\ntrain/a.png,\n", r"labels\.csv, row 2: expected a photo and an item"),
        ("photo,item_id\na.png,i1\na.png,i2\n", r"labels\.csv, row 3: photo 'a.png' is labelled twice"),
        ("photo,item_id\n", "no row whose photo starts with ''"),
        ("photo,item_id\n../labels.csv,i1\n", r"1 of 1 photos are bad, such as .*lies outside the folder"),
        ("photo,item_id\nnothing.png,i1\n", r"1 of 1 photos are bad, such as nothing\.png \(row 2\)"),
        ("photo,item_id\nbroken.png,i1\n", r"such as broken\.png \(row 2\): not a JPEG, PNG or WebP"),
    ],
)
def test_bad_labels_and_photos_are_named(workspace: Workspace, folder: Path, labels: str, problem: str) -> None:
    (folder.parent / "labels.csv").write_text(labels)
    (folder / "broken.png").write_bytes(b"no image")

    with pytest.raises(PhotoSourceError, match=problem):
        import_photos(folder, folder.parent / "labels.csv", workspace)
    assert not workspace.has_photos


def test_one_bad_photo_of_many_is_left_out_and_told(workspace: Workspace, folder: Path) -> None:
    (folder / "train/b.png").write_bytes(image(20)[:40])
    report = import_photos(folder, folder.parent / "labels.csv", workspace, max_bad_share=0.4)

    assert (report.added, report.rejected) == (2, 1)
    assert report.problems[0].startswith("train/b.png (row 3): ")


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_of_a_zip_is_one_bad_photo(workspace: Workspace, folder: Path, packing: int) -> None:
    source = folder.with_suffix(".zip")
    with zipfile.ZipFile(source, "w", packing) as archive:
        for name in ("train/a.png", "train/b.png", "val/c.png"):
            archive.writestr(name, image(10))
    damaged = bytearray(source.read_bytes())
    middle = slice(len("train/a.png") + 50, len("train/a.png") + 60)  # of the first member, behind its header
    damaged[middle] = bytes(byte ^ 0x5A for byte in damaged[middle])
    source.write_bytes(damaged)

    report = import_photos(source, folder.parent / "labels.csv", workspace, max_bad_share=0.4)

    assert (report.added, report.rejected) == (2, 1)
    assert "photo 'train/a.png' (row 2): " in report.problems[0]


def test_what_is_no_source_is_refused(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PhotoSourceError, match="neither a folder nor a zip"):
        import_photos(folder.parent / "labels.csv", folder.parent / "labels.csv", workspace)
    with pytest.raises(PhotoSourceError, match="cannot be read"):
        import_photos(folder, tmp_path / "nothing.csv", workspace)
    with pytest.raises(WorkspaceError, match="no catalogue yet"):
        import_photos(folder, folder.parent / "labels.csv", Workspace.create(tmp_path / "empty"))
