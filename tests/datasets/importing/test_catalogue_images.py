"""Images come in beside a catalogue's rows, and go with them."""

import io
from pathlib import Path

from PIL import Image

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.image_runs import MAX_IMAGE_BYTES
from shopfuse.datasets.schema import IMAGE_SCHEMA
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.catalogue_source import MAPPING, image
from tests.datasets.importing.import_files import read_jsonl, write_jsonl


def test_images_are_stored_and_broken_ones_left_out_of_their_row(tmp_path: Path, workspace: Workspace) -> None:
    png = image(tmp_path / "pics" / "a.png")
    jpeg = image(tmp_path / "pics" / "b.jpg", form="JPEG")
    image(tmp_path / "pics" / "c.webp", form="WEBP")
    image(tmp_path / "pics" / "big.png", size=(6000, 5000))
    (tmp_path / "pics" / "cut.png").write_bytes(png[:-30])
    (tmp_path / "pics" / "text.png").write_text("not an image")
    (tmp_path / "pics" / "huge.png").write_bytes(png + bytes(MAX_IMAGE_BYTES))
    names = ["a.png", "b.jpg", "c.webp", "big.png", "cut.png", "text.png", "huge.png", "none.png", "../../etc/passwd"]
    rows = [{"id": n, "title": "t", "image": f"pics/{name}"} for n, name in enumerate(names)]
    rows += [
        {"id": "w", "title": "t", "image": "https://shop.example/a.png"},
        {"id": "z", "title": "t", "image": "\u0000"},
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "pics").rename(tmp_path / "in" / "pics")

    report = import_catalogue(write_jsonl(tmp_path / "in" / "p.jsonl", rows), MAPPING, workspace)

    images = workspace.images().collect()
    assert images.schema == IMAGE_SCHEMA
    assert images["item_id"].to_list() == ["0", "1", "2"]
    assert images["image"].to_list()[:2] == [png, jpeg]
    assert Image.open(io.BytesIO(images["image"][2])).format == "PNG"
    rejects = read_jsonl(workspace.paths.catalogue_rejects)
    assert [(entry["row"], entry["problem"].split(":")[0]) for entry in rejects] == [
        (4, "6000 x 5000 pixels, expected at most 25,000,000 in all"),
        (5, "cannot be decoded"),
        (6, "not a JPEG, PNG or WebP image"),
        (7, "larger than 8 MiB"),
        (8, "no such file"),
        (9, "lies outside the folder of the catalogue file"),
    ]
    assert all(entry["row_kept"] and entry["field"] == "image" for entry in rejects)
    assert (report.added, report.rejected, report.images) == (11, 0, 3)
    uris = dict(workspace.items().select("item_id", "image_uri").collect().rows())
    assert (uris["0"], uris["3"], uris["w"]) == ("pics/a.png", None, "https://shop.example/a.png")


def test_replaced_item_brings_or_loses_its_image(tmp_path: Path, workspace: Workspace) -> None:
    image(tmp_path / "a.png")
    rows = [{"id": n, "title": "t", "image": "a.png"} for n in range(4)]
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", rows), MAPPING, workspace)
    changed = image(tmp_path / "a.png", size=(9, 9))

    report = import_catalogue(write_jsonl(tmp_path / "q.jsonl", [{"id": 0, "title": "t"}, rows[1]]), MAPPING, workspace)

    images = dict(workspace.images().collect().rows())
    assert sorted(images) == ["1", "2", "3"]
    assert images["1"] == changed != images["2"]
    assert (report.updated, report.unchanged, report.images) == (1, 1, 1)
