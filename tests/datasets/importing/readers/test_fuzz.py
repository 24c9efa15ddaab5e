"""Whatever bytes come, an import ends with one clear error or counts every row: nothing is lost without a word."""

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.catalogue_source import SMALL
from tests.datasets.importing.readers.workbook import workbook

ROWS = [["id", "title", "price"], *([f"i{number}", f"Stuhl für {number}", "1.50"] for number in range(12))]
GOOD = {
    "p.csv": "\n".join(";".join(row) for row in ROWS).encode("cp1252"),
    "p.tsv": "\r\n".join("\t".join(f'"{cell}"' for cell in row) for row in ROWS).encode("utf-16"),
    "p.jsonl": "\n".join(json.dumps(dict(zip(ROWS[0], row, strict=True))) for row in ROWS[1:]).encode(),
    "p.json": json.dumps({"items": [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]}).encode(),
    "p.xml": (
        "<rss>"
        + "".join(f"<item><id>{a}</id><title>{b}</title><price>{c}</price></item>" for a, b, c in ROWS[1:])
        + "</rss>"
    ).encode(),
    "p.xlsx": workbook(ROWS),
    "p.csv.gz": gzip.compress("\n".join(",".join(row) for row in ROWS).encode()),
}
_PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"\0", b'"', b";", b",", b"\r", b"\n", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"]", b"<", b"&x;", b"1e999"]
    ),
)


def account(name: str, data: bytes) -> None:
    """Import the bytes: an error of ours, or a report whose counts add up to its rows."""
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        workspace = Workspace.create(Path(folder) / "shop")
        try:
            report = import_catalogue(Path(folder) / name, SMALL, workspace, max_bad_share=1.0)
        except ShopfuseError as error:
            assert name in str(error)
            assert "\n" not in str(error)
            return
        ids = workspace.items().collect().height
        assert (report.added, report.updated, report.unchanged) == (ids, 0, 0)
        assert report.rows == report.added + report.rejected + report.superseded + report.repeated


@pytest.mark.parametrize("name", GOOD)
def test_whole_files_come_out_whole(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(GOOD[name])
    workspace = Workspace.create(tmp_path / "shop")

    report = import_catalogue(tmp_path / name, SMALL, workspace)

    assert (report.rows, report.added, report.rejected) == (12, 12, 0)
    assert workspace.items().collect()["title"].to_list()[0] == "Stuhl für 0"


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_are_told(name: str, data: st.DataObject) -> None:
    good = GOOD[name]
    at, cut = data.draw(st.integers(0, len(good))), data.draw(st.integers(0, 40))
    damaged = good[:at] + data.draw(_PIECES) + good[at + cut :]

    account(name, damaged[: data.draw(st.integers(len(damaged) // 2, len(damaged)))])


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=300))
def test_any_bytes_are_told(name: str, data: bytes) -> None:
    account(name, data)
