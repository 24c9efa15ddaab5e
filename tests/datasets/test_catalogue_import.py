"""A catalogue import takes what is good, names what is bad, and changes all or nothing."""

import dataclasses
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets import catalogue, image_runs, item_images, source_rows
from shopfuse.datasets.catalogue import import_catalogue
from shopfuse.datasets.import_report import TooManyBadRowsError
from shopfuse.datasets.mapping import CatalogueMapping, Source, read_catalogue_mapping
from shopfuse.datasets.schema import IMAGE_SCHEMA, ITEM_SCHEMA
from shopfuse.datasets.source_file import SourceFileError
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import WorkspaceLockedError, workspace_lock

EXAMPLES = Path(__file__).parents[2] / "examples" / "mappings"
MAPPING = CatalogueMapping(
    sources={
        "id": Source(("id",)),
        "title": Source(("title",)),
        "description": Source(("text",)),
        "brand": Source(("brand",)),
        "category": Source(("category",), separator=">"),
        "price": Source(("price",), scale=0.01),
        "currency": Source(value="EUR"),
        "image": Source(("image",)),
        "available": Source(("stock",)),
        "published_at": Source(("created",)),
    },
    attributes=(Source(("attr_*",), strip_prefix="attr_"), Source(("specs",))),
)
SMALL = CatalogueMapping({"id": Source(("id",)), "title": Source(("title",)), "price": Source(("price",))})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "shop")


def _jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _rejects(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in workspace.catalogue_rejects_path.read_text().splitlines()]


def _tree(root: Path) -> dict[str, str]:
    """Every file under a folder but the lock, with the hash of what it holds."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _picture(path: Path, size: tuple[int, int] = (4, 3), form: str = "PNG") -> bytes:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, (200, 30, 30)).save(path, format=form)
    return path.read_bytes()


FULL_ROW: dict[str, Any] = {
    "id": 1042,
    "title": "  Oak\ttable\u0000 Cafe\u0301 ",
    "text": "Seats six.\nOiled.",
    "brand": "Nordholm",
    "category": "Home > Tables > ",
    "price": 34999,
    "stock": "out of stock",
    "created": "2024-03-01T10:00:00+02:00",
    "attr_colour": ["natural", "white", "white"],
    "attr_height": 75.0,
    "attr_foldable": False,
    "attr_empty": None,
    "specs": {"legs": 4, "finish": "oil"},
    "other": "left alone",
}


def test_every_field_of_a_row_arrives_in_stored_form(tmp_path: Path, workspace: Workspace) -> None:
    report = import_catalogue(_jsonl(tmp_path / "p.jsonl", [FULL_ROW]), MAPPING, workspace)

    items = workspace.items().collect()
    assert items.schema == ITEM_SCHEMA
    assert items.row(0, named=True) == {
        "item_id": "1042",
        "title": "Oak table Caf\u00e9",
        "description": "Seats six. Oiled.",
        "brand": "Nordholm",
        "category": ["Home", "Tables"],
        "price": 349.99,
        "currency": "EUR",
        "attributes": [
            {"name": "colour", "value": "natural"},
            {"name": "colour", "value": "white"},
            {"name": "height", "value": "75"},
            {"name": "foldable", "value": "false"},
            {"name": "legs", "value": "4"},
            {"name": "finish", "value": "oil"},
        ],
        "image_uri": None,
        "available": False,
        "published_at": datetime(2024, 3, 1, 8, tzinfo=UTC),
    }
    assert (report.rows, report.added, report.rejected) == (1, 1, 0)


def test_row_with_id_and_title_alone_gets_the_defaults(tmp_path: Path, workspace: Workspace) -> None:
    import_catalogue(_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "b"}]), MAPPING, workspace)

    row = workspace.items().collect().row(0, named=True)
    assert (row["description"], row["category"], row["attributes"], row["available"]) == ("", [], [], True)
    assert (row["brand"], row["price"], row["image_uri"], row["published_at"]) == (None, None, None, None)


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        ({"title": "t"}, "id", "is missing"),
        ({"id": "a"}, "title", "is missing"),
        ({"id": "a", "title": " \u0007 "}, "title", "no visible character"),
        ({"id": "a", "title": {"en": "t"}}, "title", "expected a text"),
        ({"id": "a b", "title": "t"}, "id", "1 to 64 of A-Z"),
        ({"id": "-a", "title": "t"}, "id", "1 to 64 of A-Z"),
        ({"id": "x" * 65, "title": "t"}, "id", "1 to 64 of A-Z"),
        ({"id": "\u0663", "title": "t"}, "id", "1 to 64 of A-Z"),
        ({"id": True, "title": "t"}, "id", "expected an id"),
        ({"id": ["a"], "title": "t"}, "id", "expected a text"),
        ({"id": "a", "title": "t", "price": float("nan")}, "price", "expected a positive number"),
        ({"id": "a", "title": "t", "price": float("inf")}, "price", "expected a positive number"),
        ({"id": "a", "title": "t", "price": -1}, "price", "expected a positive number"),
        ({"id": "a", "title": "t", "price": "cheap"}, "price", "expected a number"),
        ({"id": "a", "title": "t", "price": "1_000"}, "price", "expected a number"),
        ({"id": "a", "title": "t", "price": [1]}, "price", "expected a number"),
        ({"id": "a", "title": "t", "price": 10**400}, "price", "expected a number"),
        ({"id": "a", "title": "t", "created": "yesterday"}, "published_at", "not a time in the format 'iso'"),
        ({"id": "a", "title": "t", "created": "0001-01-01"}, "published_at", "outside 1900..2099"),
        ({"id": "a", "title": "t", "stock": "perhaps"}, "available", "in stock/out of stock"),
        ({"id": "a", "title": "t", "category": [{"name": "x"}]}, "category", "expected a text"),
    ],
)
def test_bad_row_is_set_aside_with_file_row_and_field(
    tmp_path: Path, workspace: Workspace, row: Mapping[str, Any], field: str, problem: str
) -> None:
    file = _jsonl(tmp_path / "p.jsonl", [{"id": "good", "title": "t"}, row])

    report = import_catalogue(file, MAPPING, workspace)

    (rejection,) = _rejects(workspace)
    assert (rejection["file"], rejection["row"], rejection["field"]) == ("p.jsonl", 2, field)
    assert problem in rejection["problem"]
    assert (report.rejected, report.added) == (1, 1)
    assert report.first_rejections[0].row == 2
    assert workspace.items().collect()["item_id"].to_list() == ["good"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": "a", "title": ', "not valid JSON"),
        (b'["a"]', "expected a JSON object, got a list"),
        (b"null", "expected a JSON object, got null"),
        (b'{"id": "a", "title": "\xff"}', "not valid UTF-8"),
        (b'{"id":' + b"[" * 100_000, "not valid JSON"),
        (b'{"id": "a", "title": "' + b"x" * (9 * 2**20) + b'"}', "longer than 8 MiB"),
    ],
)
def test_bad_line_is_set_aside_and_the_next_one_read(
    tmp_path: Path, workspace: Workspace, line: bytes, problem: str
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(b'{"id": "1", "title": "t"}\n' + line + b'\n\n{"id": "2", "title": "t"}\n')

    import_catalogue(file, MAPPING, workspace)

    (rejection,) = _rejects(workspace)
    assert (rejection["row"], rejection["field"]) == (2, "")
    assert problem in rejection["problem"]
    assert workspace.items().collect()["item_id"].to_list() == ["1", "2"]


def test_deeply_nested_attribute_and_lone_surrogates_do_no_harm(tmp_path: Path, workspace: Workspace) -> None:
    file = tmp_path / "p.jsonl"
    title = '"title": "t\\ud800 \\ud83d\\ude00"'
    nested = "[" * 200 + '"x"' + "]" * 200
    file.write_text(f'{{"id": "a", {title}, "attr_x": {nested}, "attr_\\udc00": "v\\udfff"}}\n')

    import_catalogue(file, MAPPING, workspace)

    item = workspace.items().collect().row(0, named=True)
    assert item["title"] == "t? \U0001f600"
    assert item["attributes"] == [{"name": "?", "value": "v?"}]


def test_long_texts_are_cut_and_counted(tmp_path: Path, workspace: Workspace) -> None:
    row: dict[str, Any] = {"id": "a", "title": "t" * 600, "text": "d" * 5000, "brand": "b" * 200, "attr_x": "v" * 300}
    row |= {f"attr_{n}": n for n in range(300)}

    report = import_catalogue(_jsonl(tmp_path / "p.jsonl", [row]), MAPPING, workspace)

    item = workspace.items().collect().row(0, named=True)
    assert [len(item[name]) for name in ("title", "description", "brand", "attributes")] == [512, 4096, 128, 256]
    assert len(item["attributes"][0]["value"]) == 256
    assert report.notes == {
        "title cut to 512 characters": 1,
        "description cut to 4096 characters": 1,
        "brand cut to 128 characters": 1,
        "attributes beyond the first 256 left out": 45,
    }


def test_flood_of_combining_marks_is_bounded_and_normal(tmp_path: Path, workspace: Workspace) -> None:
    import_catalogue(_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "e" + "\u0301" * 100_000}]), MAPPING, workspace)

    title = workspace.items().collect()["title"][0]
    assert len(title) <= 512
    assert unicodedata.is_normalized("NFC", title)


def test_zero_price_means_no_price_and_cents_stay_exact(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"id": str(cents), "title": "t", "price": cents} for cents in (0, 1, 4995, 1999, 100_000_001)]

    import_catalogue(_jsonl(tmp_path / "p.jsonl", rows), MAPPING, workspace)

    assert sorted(workspace.items().collect()["price"].drop_nulls()) == [0.01, 19.99, 49.95, 1000000.01]
    assert workspace.items().collect()["price"].null_count() == 1


def test_same_import_twice_changes_no_byte(tmp_path: Path, workspace: Workspace) -> None:
    _picture(tmp_path / "pics" / "a.png")
    rows = [FULL_ROW | {"id": n, "image": "pics/a.png"} for n in range(50)]
    file = _jsonl(tmp_path / "p.jsonl", [*rows, {"id": "bad"}])

    first = import_catalogue(file, MAPPING, workspace)
    before = _tree(workspace.root)
    second = import_catalogue(file, MAPPING, workspace)

    assert (first.added, first.updated, first.unchanged, first.images) == (50, 0, 0, 50)
    assert (second.added, second.updated, second.unchanged, second.images) == (0, 0, 50, 50)
    assert _tree(workspace.root) == before
    assert set(before) == {
        "shop.toml",
        "catalogue/items.parquet",
        "catalogue/images.parquet",
        "catalogue/rejects.jsonl",
    }


def test_same_rows_into_two_workspaces_give_the_same_bytes(tmp_path: Path, workspace: Workspace) -> None:
    other = Workspace.create(tmp_path / "other")
    rows = [FULL_ROW | {"id": n} for n in range(50)]

    import_catalogue(_jsonl(tmp_path / "p.jsonl", rows), MAPPING, workspace)
    import_catalogue(_jsonl(tmp_path / "q.jsonl", rows[::-1]), MAPPING, other)

    assert workspace.items_path.read_bytes() == other.items_path.read_bytes()


def test_second_file_adds_replaces_and_leaves_the_rest(tmp_path: Path, workspace: Workspace) -> None:
    old = [{"id": "b", "title": "old", "attr_x": "1"}, {"id": "c", "title": "kept", "attr_x": "1"}]
    new = [{"id": "b", "title": "old", "attr_x": "2"}, {"id": "a", "title": "new"}]

    import_catalogue(_jsonl(tmp_path / "p.jsonl", old), MAPPING, workspace)
    report = import_catalogue(_jsonl(tmp_path / "q.jsonl", new), MAPPING, workspace)

    items = workspace.items().collect()
    assert (report.added, report.updated, report.unchanged) == (1, 1, 0)
    assert items["item_id"].to_list() == ["a", "b", "c"]
    assert items["attributes"].to_list()[1] == [{"name": "x", "value": "2"}]


def test_later_row_of_the_same_id_wins_and_identical_ones_are_silent(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"id": "a", "title": "first"}, {"id": "b", "title": "same"}, {"id": "b", "title": "same"}]
    file = _jsonl(tmp_path / "p.jsonl", [*rows, {"id": "a", "title": "last"}])

    report = import_catalogue(file, MAPPING, workspace)

    (rejection,) = _rejects(workspace)
    assert (rejection["row"], rejection["field"], rejection["value"]) == (1, "id", "a")
    assert rejection["problem"] == "row 4 has the same id and other content; it wins"
    assert (report.superseded, report.rejected, report.added) == (1, 0, 2)
    assert workspace.items().collect()["title"].to_list() == ["last", "same"]


def test_too_many_bad_rows_stop_the_import_and_nothing_changes(tmp_path: Path, workspace: Workspace) -> None:
    import_catalogue(_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "t"}]), MAPPING, workspace)
    before = _tree(workspace.root)
    rows = [{"id": n, "title": "t"} for n in range(300)] + [{"id": "b", "title": "t", "price": "?"}] * 20

    with pytest.raises(TooManyBadRowsError) as caught:
        import_catalogue(_jsonl(tmp_path / "q.jsonl", rows), MAPPING, workspace)

    assert "q.jsonl: 20 of 320 rows are bad" in str(caught.value)
    assert "field 'price': expected a number (20, first in row 301)" in str(caught.value)
    assert _tree(workspace.root) == before


def test_a_few_bad_rows_never_stop_a_small_import_unless_no_row_is_good(tmp_path: Path, workspace: Workspace) -> None:
    bad = {"id": "b", "title": ""}

    report = import_catalogue(
        _jsonl(tmp_path / "p.jsonl", [bad] * 19 + [{"id": "a", "title": "t"}]), MAPPING, workspace
    )

    assert (report.rejected, report.added) == (19, 1)
    with pytest.raises(TooManyBadRowsError, match="2 of 2 rows are bad"):
        import_catalogue(_jsonl(tmp_path / "q.jsonl", [bad] * 2), MAPPING, workspace)


def test_allowed_share_of_bad_rows_is_an_option(tmp_path: Path, workspace: Workspace) -> None:
    file = _jsonl(tmp_path / "p.jsonl", [{"id": ""}] * 60 + [{"id": n, "title": "t"} for n in range(40)])

    assert import_catalogue(file, MAPPING, workspace, max_bad_share=0.6).added == 40
    with pytest.raises(TooManyBadRowsError):
        import_catalogue(file, MAPPING, workspace, max_bad_share=0.59)
    with pytest.raises(ShopfuseError, match="max_bad_share: expected a share from 0 to 1, got 5"):
        import_catalogue(file, MAPPING, workspace, max_bad_share=5)


CSV = 'id;title;price\n1;Oak table;1.299,00\n2;"Lamp; green";\n'


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".parquet.gz", ".jsonl", ".jsonl.gz"])
def test_every_format_gives_the_same_items(tmp_path: Path, workspace: Workspace, suffix: str) -> None:
    price = Source(("price",), decimal=",") if "csv" in suffix else Source(("price",))
    mapping = dataclasses.replace(SMALL, sources={**SMALL.sources, "price": price}, delimiter=";")
    rows = [{"id": "1", "title": "Oak table", "price": 1299.0}, {"id": "2", "title": "Lamp; green", "price": None}]
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    data = {"csv": CSV.encode("utf-8-sig"), "parquet": buffer.getvalue(), "jsonl": lines}[suffix.split(".")[1]]
    file = tmp_path / f"p{suffix}"
    file.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)

    import_catalogue(file, mapping, workspace)

    items = workspace.items().select("item_id", "title", "price").collect()
    assert items.rows() == [("1", "Oak table", 1299.0), ("2", "Lamp; green", None)]


def test_csv_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path: Path, workspace: Workspace) -> None:
    file = tmp_path / "p.csv"
    file.write_bytes(b'id,title,price\n1,"two\nlines",\n2,t,3,4\n3,t\n4,a"b,\n5,"x"y,1\n6,\xff,1\n\n7,t,x\n8,last,1\n')

    import_catalogue(file, SMALL, workspace)

    assert [(entry["row"], entry["field"], entry["problem"]) for entry in _rejects(workspace)] == [
        (3, "", "expected 3 cells as in the header, got 4"),
        (4, "", "expected 3 cells as in the header, got 2"),
        (6, "", "not valid CSV: ',' expected after '\"'"),
        (7, "", "not valid UTF-8"),
        (9, "price", "expected a number"),
    ]
    assert workspace.items().collect()["item_id"].to_list() == ["1", "4", "8"]


def _parquet_bytes(rows: int = 5000) -> bytes:
    buffer = io.BytesIO()
    frame = pl.DataFrame({"id": [str(n) for n in range(rows)], "title": [f"title {n * n}" for n in range(rows)]})
    frame.with_columns(price=1.0).write_parquet(buffer, compression="lz4")
    return buffer.getvalue()


GOOD_LINES = b'{"id": "1", "title": "t"}\n' * 3000
BAD_FILES = {
    "empty": ("p.jsonl", b"", "the file is empty"),
    "empty inside gzip": ("p.jsonl.gz", gzip.compress(b""), "the file is empty"),
    "blank lines": ("p.jsonl", b"\n\n", "the file has no rows"),
    "header alone": ("p.csv", b"id,title,price\n", "the file has no rows"),
    "binary": ("p.jsonl", bytes(range(256)) * 10, "holds binary data"),
    "binary csv": ("p.csv", bytes(range(256)) * 10, "holds binary data"),
    "unknown extension": ("p.xlsx", b"PK", "unknown extension .xlsx; expected .jsonl, .ndjson, .csv, .parquet"),
    "no extension": ("products", b"x", r"unknown extension \(none\)"),
    "gzip without .gz": ("p.csv", gzip.compress(CSV.encode()), "is gzip data but its name does not end in .gz"),
    ".gz without gzip": ("p.csv.gz", CSV.encode(), "ends in .gz but is not gzip data"),
    "parquet named csv": ("p.csv", _parquet_bytes(), "is a Parquet file; name it .parquet"),
    "csv named parquet": ("p.parquet", CSV.encode(), "is not a Parquet file"),
    "cut gzip": ("p.jsonl.gz", gzip.compress(os.urandom(9) + GOOD_LINES)[:60], "gzip data ends too early"),
    "damaged gzip": ("p.jsonl.gz", gzip.compress(GOOD_LINES)[:-8] + b"12345678", "gzip data is damaged"),
    "cut parquet": ("p.parquet", _parquet_bytes()[:2000], "not a readable Parquet file"),
    "damaged parquet": (
        "p.parquet",
        _parquet_bytes()[:100] + b"\xff" * 4000 + _parquet_bytes()[4100:],
        "not a readable",
    ),
    "open quote": ("p.csv", b'id,title,price\n1,"t,1\n' + b"2,t,1\n" * 9, "row 2 opens a quote that is never closed"),
    "no column": ("p.csv", b"id,name\n1,t\n", "reads 'title' from 'title', but the columns are id, name"),
    "no parquet column": ("p.parquet", _parquet_bytes().replace(b"title", b"titel"), "reads 'title' from 'title'"),
    "same column twice": ("p.csv", b"id,title,id\n", "expected column names that differ"),
    "header not UTF-8": ("p.csv", b"id,title,\xff\n", "row 1 is not valid UTF-8"),
    "header in quotes": ("p.csv", b'id,"title"x\n', "row 1 is not a CSV header"),
    "one endless line": ("p.csv", b"id,title,price\n" + b"x" * (9 * 2**20), "a line is longer than 8 MiB"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_one_clear_error_and_nothing_changes(tmp_path: Path, workspace: Workspace, case: str) -> None:
    name, data, problem = BAD_FILES[case]
    (tmp_path / name).write_bytes(data)
    before = _tree(workspace.root)

    with pytest.raises(SourceFileError, match=problem) as caught:
        import_catalogue(tmp_path / name, SMALL, workspace)

    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)
    assert _tree(workspace.root) == before


def test_missing_file_and_folder_are_named(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(SourceFileError, match=r"nowhere\.csv: no such file"):
        import_catalogue(tmp_path / "nowhere.csv", SMALL, workspace)
    with pytest.raises(SourceFileError, match="is not a file"):
        import_catalogue(tmp_path, SMALL, workspace)


def test_pictures_are_stored_and_broken_ones_left_out_of_their_row(tmp_path: Path, workspace: Workspace) -> None:
    png = _picture(tmp_path / "pics" / "a.png")
    jpeg = _picture(tmp_path / "pics" / "b.jpg", form="JPEG")
    _picture(tmp_path / "pics" / "c.webp", form="WEBP")
    _picture(tmp_path / "pics" / "big.png", size=(6000, 5000))
    (tmp_path / "pics" / "cut.png").write_bytes(png[:-30])
    (tmp_path / "pics" / "text.png").write_text("not a picture")
    (tmp_path / "pics" / "huge.png").write_bytes(png + bytes(item_images.MAX_IMAGE_BYTES))
    names = ["a.png", "b.jpg", "c.webp", "big.png", "cut.png", "text.png", "huge.png", "none.png", "../../etc/passwd"]
    rows = [{"id": n, "title": "t", "image": f"pics/{name}"} for n, name in enumerate(names)]
    rows += [
        {"id": "w", "title": "t", "image": "https://shop.example/a.png"},
        {"id": "z", "title": "t", "image": "\u0000"},
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "pics").rename(tmp_path / "in" / "pics")

    report = import_catalogue(_jsonl(tmp_path / "in" / "p.jsonl", rows), MAPPING, workspace)

    images = workspace.images().collect()
    assert images.schema == IMAGE_SCHEMA
    assert images["item_id"].to_list() == ["0", "1", "2"]
    assert images["image"].to_list()[:2] == [png, jpeg]
    assert Image.open(io.BytesIO(images["image"][2])).format == "PNG"
    assert [(entry["row"], entry["problem"].split(":")[0]) for entry in _rejects(workspace)] == [
        (4, "6000 x 5000 is more than 25,000,000 pixels"),
        (5, "damaged"),
        (6, "not a PNG, JPEG or WebP picture"),
        (7, "larger than 8 MiB"),
        (8, "no such file"),
        (9, "lies outside the folder of the catalogue file"),
    ]
    assert all(entry["row_kept"] and entry["field"] == "image" for entry in _rejects(workspace))
    assert (report.added, report.rejected, report.images) == (11, 0, 3)
    uris = dict(workspace.items().select("item_id", "image_uri").collect().rows())
    assert (uris["0"], uris["3"], uris["w"]) == ("pics/a.png", None, "https://shop.example/a.png")


def test_replaced_item_brings_or_loses_its_picture(tmp_path: Path, workspace: Workspace) -> None:
    _picture(tmp_path / "a.png")
    rows = [{"id": n, "title": "t", "image": "a.png"} for n in range(4)]
    import_catalogue(_jsonl(tmp_path / "p.jsonl", rows), MAPPING, workspace)
    changed = _picture(tmp_path / "a.png", size=(9, 9))

    report = import_catalogue(_jsonl(tmp_path / "q.jsonl", [{"id": 0, "title": "t"}, rows[1]]), MAPPING, workspace)

    images = dict(workspace.images().collect().rows())
    assert sorted(images) == ["1", "2", "3"]
    assert images["1"] == changed != images["2"]
    assert (report.updated, report.unchanged, report.images) == (1, 1, 1)


def test_many_batches_and_ranges_merge_as_one(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_rows, "BATCH_ROWS", 7)
    monkeypatch.setattr("shopfuse.datasets.import_run.BATCH_ROWS", 7)
    monkeypatch.setattr(catalogue, "RANGE_ROWS", 5)
    monkeypatch.setattr(image_runs, "RUN_BYTES", 200)
    _picture(tmp_path / "a.png")
    rows = [{"id": n * 37 % 100, "title": f"t{n}", "image": "a.png"} for n in range(150)]
    stages: list[tuple[str, int, int]] = []

    report = import_catalogue(
        _jsonl(tmp_path / "p.jsonl", rows),
        MAPPING,
        workspace,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )

    items = workspace.items().collect()
    expected = {str(n * 37 % 100): f"t{n}" for n in range(150)}
    assert dict(items.select("item_id", "title").rows()) == expected
    assert items["item_id"].to_list() == sorted(expected)
    assert workspace.images().collect()["item_id"].to_list() == sorted(expected)
    assert (report.added, report.superseded, report.images) == (100, 50, 100)
    assert {stage for stage, _, _ in stages} == {"read", "merge"}
    assert all(0 <= done <= total for _, done, total in stages)


@pytest.mark.parametrize("stage", ["read", "merge"])
def test_killed_import_leaves_the_last_good_catalogue(tmp_path: Path, workspace: Workspace, stage: str) -> None:
    import_catalogue(_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "t"}]), SMALL, workspace)
    before = _tree(workspace.catalogue_dir)
    _jsonl(tmp_path / "q.jsonl", [{"id": "b", "title": "t", "price": 1}])
    code = f"""
import os
from pathlib import Path
from shopfuse.datasets.catalogue import import_catalogue
from shopfuse.datasets.mapping import CatalogueMapping, Source
from shopfuse.datasets.workspace import Workspace as W
mapping = CatalogueMapping({{"id": Source(("id",)), "title": Source(("title",))}})
die = lambda stage, done, total: os._exit(9) if stage == {stage!r} else None
shop = W.open(Path({str(workspace.root)!r}))
import_catalogue(Path({str(tmp_path / "q.jsonl")!r}), mapping, shop, progress=die)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert {name: digest for name, digest in _tree(workspace.catalogue_dir).items() if name[0] != "."} == before

    report = import_catalogue(tmp_path / "q.jsonl", SMALL, workspace)

    assert report.added == 1
    assert workspace.items().collect()["item_id"].to_list() == ["a", "b"]
    assert set(_tree(workspace.root)) == {"shop.toml", "catalogue/items.parquet", "catalogue/rejects.jsonl"}


def test_import_waits_for_nobody_when_another_one_runs(tmp_path: Path, workspace: Workspace) -> None:
    file = _jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "t"}])

    with workspace_lock(workspace.root), pytest.raises(WorkspaceLockedError, match="is writing to this workspace"):
        import_catalogue(file, SMALL, workspace)


def test_icecat_mapping_reads_its_format(tmp_path: Path, workspace: Workspace) -> None:
    row = {"id": "39", "title": "Xerox toner", "short_description": "6 per box", "supplier": "Xerox", "price": 4995}
    row |= {"date_released": "2009-12-10T00:00:00Z", "attr_t_product_type": "Toner", "attr_n_yield": 23000.0}

    import_catalogue(_jsonl(tmp_path / "p.jsonl", [row]), read_catalogue_mapping(EXAMPLES / "icecat.toml"), workspace)

    item = workspace.items().collect().row(0, named=True)
    assert (item["brand"], item["category"], item["price"]) == ("Xerox", ["Toner"], 49.95)
    assert item["attributes"] == [{"name": "product_type", "value": "Toner"}, {"name": "yield", "value": "23000"}]
