"""A catalogue's rows arrive in stored form; a bad one is set aside by name, and the rest is taken."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.mapping import read_catalogue_mapping
from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.catalogue_source import FULL_ROW, MAPPING
from tests.datasets.importing.import_files import EXAMPLES, read_jsonl, write_jsonl


def test_every_field_of_a_row_arrives_in_stored_form(tmp_path: Path, workspace: Workspace) -> None:
    report = import_catalogue(write_jsonl(tmp_path / "p.jsonl", [FULL_ROW]), MAPPING, workspace)

    items = workspace.items().collect()
    assert items.schema == ITEM_SCHEMA
    assert items.row(0, named=True) == {
        "item_id": "1042",
        "title": "Oak table Caf\u00e9",
        "description": "Seats six. Oiled.",
        "brand": "Nordholm",
        "category": ["Home", "Tables"],
        "other_categories": [],
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
        "group_id": "oak",
        "gtin": "4006381333931",
        "mpn": "OT-75/2",
        "sku": None,
    }
    assert (report.rows, report.added, report.rejected) == (1, 1, 0)


def test_row_with_id_and_title_alone_gets_the_defaults(tmp_path: Path, workspace: Workspace) -> None:
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "b"}]), MAPPING, workspace)

    row = workspace.items().collect().row(0, named=True)
    assert (row["description"], row["category"], row["attributes"], row["available"]) == ("", [], [], True)
    assert (row["brand"], row["price"], row["image_uri"], row["published_at"]) == (None, None, None, None)


def test_a_catalogue_of_an_older_version_lacks_columns_and_is_read_and_merged(
    tmp_path: Path, workspace: Workspace
) -> None:
    import_catalogue(write_jsonl(tmp_path / "p.jsonl", [FULL_ROW]), MAPPING, workspace)
    old = workspace.items().collect().drop("group_id", "gtin", "mpn", "sku")
    old.write_parquet(workspace.paths.items)

    assert workspace.items().collect().schema == ITEM_SCHEMA
    report = import_catalogue(write_jsonl(tmp_path / "p.jsonl", [FULL_ROW | {"id": "new"}]), MAPPING, workspace)
    assert (report.added, workspace.items().collect()["gtin"].to_list()) == (1, [None, "4006381333931"])


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        ({"title": "t"}, "id", "is missing"),
        ({"id": "a"}, "title", "is missing"),
        ({"id": "a", "title": " \u0007 "}, "title", "no visible character"),
        ({"id": "a", "title": {"en": "t"}}, "title", "expected a text"),
        ({"id": "(not set)", "title": "t"}, "id", "is missing"),
        ({"id": "a", "title": "N/A"}, "title", "is missing"),
        ({"id": "a\tb", "title": "t"}, "id", "at most 128 bytes"),
        ({"id": "\u00e4" * 65, "title": "t"}, "id", "at most 128 bytes"),
        ({"id": True, "title": "t"}, "id", "expected an id"),
        ({"id": {"a": 1}, "title": "t"}, "id", "expected a text"),
    ],
)
def test_bad_row_is_set_aside_with_file_row_and_field(
    tmp_path: Path, workspace: Workspace, row: Mapping[str, object], field: str, problem: str
) -> None:
    file = write_jsonl(tmp_path / "p.jsonl", [{"id": "good", "title": "t"}, row])

    report = import_catalogue(file, MAPPING, workspace)

    (rejection,) = read_jsonl(workspace.paths.catalogue_rejects)
    assert (rejection["file"], rejection["row"], rejection["field"]) == ("p.jsonl", 2, field)
    assert problem in rejection["problem"]
    assert (report.rejected, report.added) == (1, 1)
    assert report.first_rejections[0].row == 2
    assert workspace.items().collect()["item_id"].to_list() == ["good"]


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        ({"id": "a", "title": "t", "price": float("nan")}, "price", "expected a positive number"),
        ({"id": "a", "title": "t", "price": float("inf")}, "price", "expected a positive number"),
        ({"id": "a", "title": "t", "price": -1}, "price", "expected a positive number"),
        ({"id": "a", "title": "t", "price": "cheap"}, "price", "expected one price"),
        ({"id": "a", "title": "t", "price": "1_000"}, "price", "expected one price"),
        ({"id": "a", "title": "t", "price": {"a": 1}}, "price", "expected a number"),
        ({"id": "a", "title": "t", "price": 10**400}, "price", "expected a number"),
        ({"id": "a", "title": "t", "created": "yesterday"}, "published_at", "not a time in the format 'iso'"),
        ({"id": "a", "title": "t", "created": "0001-01-01"}, "published_at", "outside 1900..2099"),
        ({"id": "a", "title": "t", "stock": "perhaps"}, "available", "in stock or out of stock"),
        ({"id": "a", "title": "t", "category": [{"id": 5}]}, "category", "expected an object with one of name"),
    ],
)
def test_bad_value_is_left_out_and_its_row_kept(
    tmp_path: Path, workspace: Workspace, row: Mapping[str, object], field: str, problem: str
) -> None:
    file = write_jsonl(tmp_path / "p.jsonl", [{"id": "good", "title": "t"}, row, {**row, "id": "b"}])

    report = import_catalogue(file, MAPPING, workspace)

    (left_out,) = report.left_out
    assert (left_out.field, left_out.count, left_out.row) == (field, 2, 2)
    assert problem in left_out.problem
    entries = read_jsonl(workspace.paths.catalogue_rejects)
    assert [(entry["row"], entry["field"], entry["row_kept"]) for entry in entries] == [
        (2, field, True),
        (3, field, True),
    ]
    assert (report.rejected, report.added) == (0, 3)
    kept, good = workspace.items().filter(pl.col("item_id") != "b").collect().rows(named=True)
    assert kept | {"item_id": "good"} == good | {"currency": kept["currency"]}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": "a", "title": ', "not valid JSON"),
        (b'["a"]', "expected a JSON object, got a list"),
        (b"null", "expected a JSON object, got null"),
        (b'{"id": "a", "title": "\xff"}', "not valid utf-8: byte 0xff, after 22 bytes"),
        (b'{"id":' + b"[" * 100_000, "not valid JSON"),
        (b'{"id": "a", "title": "' + b"x" * (9 * 2**20) + b'"}', "longer than 8 MiB"),
    ],
)
def test_bad_line_is_set_aside_and_the_next_one_read(
    tmp_path: Path, workspace: Workspace, line: bytes, problem: str
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(b'{"id": "1", "title": "caf\xc3\xa9"}\n' + line + b'\n\n{"id": "2", "title": "t"}\n')

    import_catalogue(file, MAPPING, workspace)

    (rejection,) = read_jsonl(workspace.paths.catalogue_rejects)
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
    row: dict[str, object] = {
        "id": "a",
        "title": "t" * 600,
        "text": "d" * 5000,
        "brand": "b" * 200,
        "attr_x": "v" * 300,
    }
    row |= {f"attr_{n}": n for n in range(300)}

    report = import_catalogue(write_jsonl(tmp_path / "p.jsonl", [row]), MAPPING, workspace)

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
    import_catalogue(
        write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "title": "e" + "\u0301" * 100_000}]), MAPPING, workspace
    )

    title = workspace.items().collect()["title"][0]
    assert len(title) <= 512
    assert unicodedata.is_normalized("NFC", title)


def test_zero_price_means_no_price_and_cents_stay_exact(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"id": str(cents), "title": "t", "price": cents} for cents in (0, 1, 4995, 1999, 100_000_001)]

    import_catalogue(write_jsonl(tmp_path / "p.jsonl", rows), MAPPING, workspace)

    assert sorted(workspace.items().collect()["price"].drop_nulls()) == [0.01, 19.99, 49.95, 1000000.01]
    assert workspace.items().collect()["price"].null_count() == 1


def test_icecat_mapping_reads_its_format(tmp_path: Path, workspace: Workspace) -> None:
    row = {"id": "39", "title": "Xerox toner", "short_description": "6 per box", "supplier": "Xerox", "price": 4995}
    row |= {"date_released": "2009-12-10T00:00:00Z", "attr_t_product_type": "Toner", "attr_n_yield": 23000.0}

    import_catalogue(
        write_jsonl(tmp_path / "p.jsonl", [row]), read_catalogue_mapping(EXAMPLES / "icecat.toml"), workspace
    )

    item = workspace.items().collect().row(0, named=True)
    assert (item["brand"], item["category"], item["price"]) == ("Xerox", ["Toner"], 49.95)
    assert item["attributes"] == [{"name": "product_type", "value": "Toner"}, {"name": "yield", "value": "23000"}]
