"""A catalogue comes in many formats; a file that is damaged, or of another kind, is one clear error."""

import dataclasses
import gzip
import io
import json
import os
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.mapping import Source
from shopfuse.datasets.importing.readers.tables import FileOptions
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.catalogue_source import SMALL
from tests.datasets.importing.import_files import read_jsonl, tree

CSV = 'id;title;price\n1;Oak table;1.299,00\n2;"Lamp; green";\n'


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".parquet.gz", ".jsonl", ".jsonl.gz"])
def test_every_format_gives_the_same_items(tmp_path: Path, workspace: Workspace, suffix: str) -> None:
    price = Source(("price",), decimal=",") if "csv" in suffix else Source(("price",))
    mapping = dataclasses.replace(SMALL, sources={**SMALL.sources, "price": price}, file=FileOptions(";"))
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
    file.write_bytes(
        b'id,title,price\n1,"caf\xc3\xa9\nau lait",\n2,t,3,4\n3,t\n4,a"b,\n5,"x"y,1\n6,\xff,1\n\n7,t,x\n8,z,1\n'
    )

    import_catalogue(file, SMALL, workspace)

    rejects = read_jsonl(workspace.paths.catalogue_rejects)
    assert [(entry["row"], entry["field"], entry["problem"]) for entry in rejects] == [
        (3, "", "expected 3 cells as in the header, got 4"),
        (4, "", "expected 3 cells as in the header, got 2"),
        (6, "", "not valid CSV: ',' expected after '\"'"),
        (7, "", "not valid utf-8: byte 0xff, after 2 bytes of the row"),
        (9, "price", "expected one price such as 1,299.00 or 12,50 EUR"),
    ]
    assert workspace.items().collect()["item_id"].to_list() == ["1", "4", "7", "8"]


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
    "no table": ("products", b"x", "reads 'id' from 'id', but the columns are x"),
    ".gz without gzip": ("p.csv.gz", CSV.encode(), "ends in .gz but is not gzip data"),
    ".zip without zip": ("p.zip", CSV.encode(), "ends in .zip but is not a zip archive"),
    "xlsx without zip": ("p.xlsx", CSV.encode(), "is not a spreadsheet, whatever its name says"),
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
    "header of no encoding": ("p.csv", b"id,title,\xff,\xc3\xa9\n1,\xc3\xa9,,\n", "row 1 is not valid utf-8"),
    "header in quotes": ("p.csv", b'id,"title"x\n', "row 1 is not a CSV header"),
    "one endless line": ("p.csv", b"id,title,price\n" + b"x" * (9 * 2**20), "a line is longer than 8 MiB"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_one_clear_error_and_nothing_changes(tmp_path: Path, workspace: Workspace, case: str) -> None:
    name, data, problem = BAD_FILES[case]
    (tmp_path / name).write_bytes(data)
    before = tree(workspace.root)

    with pytest.raises(SourceFileError, match=problem) as caught:
        import_catalogue(tmp_path / name, SMALL, workspace)

    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)
    assert tree(workspace.root) == before


def test_missing_file_and_folder_are_named(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(SourceFileError, match=r"nowhere\.csv: no such file"):
        import_catalogue(tmp_path / "nowhere.csv", SMALL, workspace)
    with pytest.raises(SourceFileError, match="is not a file"):
        import_catalogue(tmp_path, SMALL, workspace)
