"""`shopfuse evaluate report` on a released shop: the files that it writes, and what a program reads of it."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shopfuse.cli.main import app
from shopfuse.datasets.workspace import Workspace

SECTIONS = ["quality", "calibration", "beyond-accuracy", "cold-start", "modalities", "segments", "importance"]


@pytest.fixture(scope="module")
def folder(shop: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("report")
    arguments = ["evaluate", "report", "-w", str(shop.root), "--out", str(out), "--cases", "20", "--lists", "50"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    (out / "stdout.json").write_text(result.stdout.splitlines()[-1])
    return out


def test_one_page_holds_every_section_with_plots(folder: Path) -> None:
    page = ElementTree.fromstring((folder / "report.html").read_text().split("\n", 1)[1])
    sections = page.findall(".//{http://www.w3.org/1999/xhtml}section")

    assert [section.get("id") for section in sections] == SECTIONS
    for section in sections:
        assert section.findall(".//{http://www.w3.org/2000/svg}svg"), section.get("id")


def test_the_markdown_finds_its_plots(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    named = [line.rpartition("(")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]

    assert named
    assert all((folder / name).is_file() for name in named)


def test_programs_read_every_figure_and_how_it_was_made(folder: Path, shop: Workspace) -> None:
    document = json.loads((folder / "stdout.json").read_text())

    assert set(document["sections"]) == set(SECTIONS)
    assert document["facts"]["release"].startswith("r1 ")
    assert "NOT those" not in document["facts"]["models"]
    for section in document["sections"].values():
        assert f"shopfuse evaluate report -w {shop.root} --seed 0 --cases 20 --lists 50" in section["provenance"]
    rows = document["sections"]["quality"]["tables"][0]["rows"]
    assert {"fused", "bm25", "weighted"} <= {row["row"] for row in rows}


def test_a_shop_without_a_release_is_told_what_to_do(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "empty")

    result = CliRunner().invoke(app, ["evaluate", "-w", str(tmp_path / "empty")])

    assert result.exit_code == 1
    assert "nothing is released yet" in str(result.exception)


def test_the_workspace_belongs_to_the_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "-w", str(tmp_path), "recommend"])

    assert result.exit_code == 2
    assert "after the command" in result.output
