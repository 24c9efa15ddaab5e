"""`shopfuse import` sums up what became of a file: what was left out of rows, and what looks like a wrong mapping."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shopfuse.cli.main import app

HEAD = "id,title,cost,stock\n"
MAPPING = '[item]\nid = "id"\ntitle = "title"\nprice = "cost"\navailable = "stock"\n'


def summary(folder: Path, lines: list[str], *options: str) -> str:
    (folder / "p.csv").write_text(HEAD + "\n".join(lines) + "\n")
    (folder / "map.toml").write_text(MAPPING)
    command = ["import", "catalog", str(folder / "p.csv"), "-m", str(folder / "map.toml"), "-w", str(folder / "shop")]
    done = CliRunner().invoke(app, [*command, *options], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_what_was_left_out_is_a_table_by_field_and_reason(tmp_path: Path) -> None:
    good = [f"i{number},Cup,{number + 1}.50,in stock" for number in range(40)]

    told = summary(tmp_path, [*good, "a,Cup,from 3,[b]soon[/b]", "b,Cup,from 4,in stock", "c,Cup,N/A,-"])

    assert "43 added" in told
    rows = [[cell.strip() for cell in line.strip("\u2502| ").split("\u2502")] for line in told.splitlines()]
    (price,) = (row for row in rows if row[0] == "price")
    (stock,) = (row for row in rows if row[0] == "available")
    assert price[1].startswith("expected one price")
    assert price[2:] == ["2", "42", "from 3"]
    assert stock[2:] == ["1", "42", "[b]soon[/b]"]
    assert "warning" not in told
    assert "set aside in" in told


@pytest.mark.parametrize(
    ("unread", "good", "warned"),
    [(3, 0, True), (3, 4, False), (20, 100, True), (20, 500, False), (19, 100, False)],
)
def test_a_column_that_is_no_price_is_a_warning(tmp_path: Path, unread: int, good: int, warned: bool) -> None:
    lines = [f"i{number},Cup,{'EAN 12' if number < unread else '2.50'},1" for number in range(unread + good)]

    told = summary(tmp_path, lines)
    report = json.loads(summary(tmp_path, lines, "--json"))

    text = f"{unread} of {unread + good} rows went in without 'price'"
    assert (f"warning: {text}" in told) == warned
    assert any(warning.startswith(text) for warning in report["warnings"]) == warned


def test_placeholders_are_no_reason_to_warn(tmp_path: Path) -> None:
    told = summary(tmp_path, [f"i{number},Cup,{price},n/a" for number, price in enumerate(["N/A", "-", "", "0"])])

    assert "4 added" in told
    assert "left out because" not in told
    assert "went in without" not in told
