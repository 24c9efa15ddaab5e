"""The hooks of .pre-commit-config.yaml are the checks of `make lint`, by the same tools and so by the same versions."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / ".pre-commit-config.yaml"
PLACES = {".venv/bin": "$(BIN)", "node_modules/.bin": "$(BUF)"}


def hooks() -> list[dict[str, str]]:
    repositories = yaml.safe_load(CONFIG.read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    return list(repositories[0]["hooks"])


def pinned() -> set[str]:
    """The programs of the dev extra that have exactly one version."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return {line.partition("==")[0] for line in extras["dev"] if "==" in line}


def lint_recipe() -> str:
    return (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_hook_runs_a_tool_that_lint_runs_too(hook: dict[str, str]) -> None:
    program, *arguments = hook["entry"].split()
    place, name = program.rsplit("/", 1)

    assert hook["language"] == "system"
    assert name in pinned() or name == "buf"
    assert (ROOT / program).exists()
    words = [PLACES[place] if name == "buf" else f"{PLACES[place]}/{name}", *arguments[:1]]
    assert " ".join(word for word in words if not word.startswith("--")) in lint_recipe()


def test_every_check_of_lint_has_a_hook() -> None:
    checks = [line for line in lint_recipe().splitlines() if line.startswith("\t")]

    assert len(checks) == len(hooks())
