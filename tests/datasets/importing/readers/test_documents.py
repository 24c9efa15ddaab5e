"""JSON documents, XML feeds and spreadsheets: the rows of what shops really deliver, and one clear error for damage."""

import io
import json
from datetime import date, datetime
from pathlib import Path
from zipfile import ZipFile

import pytest

from shopfuse.datasets.importing.readers.tables import FileOptions
from shopfuse.datasets.importing.source_file import SourceFileError
from tests.datasets.importing.readers.reading import opened, read
from tests.datasets.importing.readers.workbook import workbook

ROWS = [{"id": 1, "title": "Cup é", "sizes": ["s", "m"]}, {"id": 2, "title": "Mug", "price": 2.5}]
LINES = "\n".join(json.dumps(row) for row in ROWS)
RSS = """<?xml version="1.0" encoding="{encoding}"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>
<item><g:id>1</g:id><title>page</title><g:title>Cup é &amp; <![CDATA[<b>lid</b>]]></g:title>
 <g:shipping><g:country>DE</g:country><g:price>4 EUR</g:price></g:shipping>
 <g:additional_image_link>a</g:additional_image_link><g:additional_image_link>b</g:additional_image_link></item>
<item><g:id>2</g:id><!-- note --><g:title>Mug</g:title></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<entry><g:id>1</g:id><title>Cup</title><link href="https://shop.example/1"/></entry></feed>"""
BOMB = """<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<rss><channel><item><id>1</id><title>&b;</title></item></channel></rss>"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", json.dumps(ROWS)),
        ("p.json", json.dumps(ROWS, indent=2, ensure_ascii=False)),
        ("p.json", json.dumps({"count": 2, "tags": ["a"], "data": {"products": ROWS}, "more": [{"id": 3}]})),
        ("p.json", LINES),
        ("p.jsonl", LINES),
        ("export", LINES),
        ("export", "\ufeff" + json.dumps(ROWS)),
        ("export", json.dumps({"products": ROWS}, indent=1)),
    ],
)
def test_json_of_any_shape_gives_its_objects(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path / name, text.encode()) == [(1, ROWS[0]), (2, ROWS[1])]


def test_json_in_another_encoding_and_what_is_no_object(tmp_path: Path) -> None:
    text = json.dumps([*ROWS, 7, [1]], ensure_ascii=False)

    assert read(tmp_path / "p.json", text.encode("utf-16"))[1:] == [
        (2, ROWS[1]),
        (3, "expected a JSON object, got a number"),
        (4, "expected a JSON object, got a list"),
    ]


@pytest.mark.parametrize("cut", [20, 60])
def test_cut_json_is_one_error(tmp_path: Path, cut: int) -> None:
    with pytest.raises(SourceFileError, match=r"not valid JSON.*was the copy cut off\?"):
        read(tmp_path / "p.json", json.dumps(ROWS).encode()[:cut])


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16"])
def test_rss_gives_its_items_with_names_without_namespace(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path / "feed.xml", RSS.format(encoding=encoding).encode(encoding)) == [
        (
            1,
            {
                "id": "1",
                "title": "Cup é & <b>lid</b>",
                "shipping": {"country": "DE", "price": "4 EUR"},
                "additional_image_link": ["a", "b"],
            },
        ),
        (2, {"id": "2", "title": "Mug"}),
    ]


def test_atom_entries_and_offers_with_attributes(tmp_path: Path) -> None:
    offers = b'<yml><shop><offers><offer id="7" available="true"><name>Cup</name></offer></offers></shop></yml>'

    assert read(tmp_path / "f", ATOM.encode()) == [(1, {"id": "1", "title": "Cup", "link": "https://shop.example/1"})]
    assert read(tmp_path / "f", offers) == [(1, {"id": "7", "available": "true", "name": "Cup"})]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (BOMB.encode(), "holds a document type"),
        (RSS.format(encoding="utf-8").encode()[:-40], "not valid XML"),
        (b"<html><body>Not found</body></html>", "expected elements called item, entry, product"),
        (b'<?xml version="1.0" encoding="klingon"?><a><item><id>1</id></item></a>', "not valid XML"),
        (b"<a>" + b"<b>" * 500 + b"</a>", "not valid XML"),
    ],
)
def test_bad_xml_is_one_error(tmp_path: Path, data: bytes, problem: str) -> None:
    with pytest.raises(SourceFileError, match=problem):
        read(tmp_path / "feed.xml", data)


def test_spreadsheet_keeps_numbers_dates_and_stored_values_of_formulas(tmp_path: Path) -> None:
    cells: list[list[object]] = [
        [None, None, None, None],
        ["id", "title", "price", "created", None],
        [1001.0, "Cup", "=1+1.5", date(2026, 3, 1)],
        [None, None, None, None],
        ["M-2", "Mug", 3.25, datetime(2026, 3, 2, 10, 30), "extra"],
        ["M-3", None, True, None],
    ]

    assert read(tmp_path / "p.xlsx", workbook(cells)) == [
        (3, {"id": 1001, "title": "Cup", "price": 2.5, "created": date(2026, 3, 1)}),
        (5, "expected 4 cells as in the header, got more"),
        (6, {"id": "M-3", "title": None, "price": True, "created": None}),
    ]


def test_sheet_of_the_mapping_and_one_that_is_not_there(tmp_path: Path) -> None:
    data = workbook([["id"], ["1"]], name="Products")

    assert opened(tmp_path / "p.xlsx", data, FileOptions(sheet="Products")).columns == ["id"]
    with pytest.raises(SourceFileError, match="has no sheet 'Stock'; it has Products"):
        opened(tmp_path / "p.xlsx", data, FileOptions(sheet="Stock"))


def test_damaged_spreadsheet_is_one_error(tmp_path: Path) -> None:
    data = workbook([["id"], ["1"]])
    empty = io.BytesIO()
    with ZipFile(empty, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")

    for damaged in (empty.getvalue(), b"\xd0\xcf\x11\xe0" + b"\0" * 600):
        with pytest.raises(SourceFileError, match=r"not a readable spreadsheet|the sheet has no row"):
            opened(tmp_path / "p.xlsx", damaged)
    with pytest.raises(SourceFileError, match="damaged or ends too early"):
        opened(tmp_path / "p.xlsx", data[:-20])
