"""`shopfuse import catalog` says once in which language the catalogue is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from shopfuse.cli.import_data import app
from shopfuse.datasets.workspace import Workspace

TITLES = ("Botas de montaña impermeables", "Auriculares inalámbricos", "Vestido de algodón", "Silla de oficina")
MAPPING = '[item]\nid = "id"\ntitle = "title"\n'


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    rows = "".join(f"{at},{title}\n" for at, title in enumerate(TITLES))
    (tmp_path / "items.csv").write_text(f"id,title\n{rows}")
    (tmp_path / "map.toml").write_text(MAPPING)
    return ["catalog", str(tmp_path / "items.csv"), "-m", str(tmp_path / "map.toml"), "-w", str(tmp_path / "shop")]


def test_the_language_is_told_and_written_by_the_first_import_alone(tmp_path: Path, arguments: list[str]) -> None:
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))

    assert first.exit_code == second.exit_code == 0
    assert "language es (Spanish) recognised in 4 of 4 titles; written to shop.toml" in first.output
    assert "recognised" not in second.output
    assert Workspace.open(tmp_path / "shop").settings.language == "es"


def test_a_language_that_the_owner_wrote_is_left(tmp_path: Path, arguments: list[str]) -> None:
    workspace = Workspace.create(tmp_path / "shop")
    workspace.paths.settings.write_text('language = "und"\n')

    result = CliRunner().invoke(app, arguments)

    assert "recognised" not in result.output
    assert workspace.paths.settings.read_text() == 'language = "und"\n'
