"""A fact has one home: where things lie in a workspace is spelled in core.workspace_paths and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from shopfuse.core.workspace_paths import WorkspacePaths
from tests.architecture.house import modules, of_package, package_of

HOME = "shopfuse.core.workspace_paths"


def names_in_a_workspace() -> set[str]:
    """Of all folders and files that WorkspacePaths knows, each part of a path for itself."""
    paths = WorkspacePaths(Path("/shop"))
    properties = [name for name, value in vars(WorkspacePaths).items() if isinstance(value, property)]
    known = [path for name in properties if isinstance(path := getattr(paths, name), Path)]
    known += [paths.release("r1"), paths.events_of(date(2024, 5, 1)), paths.trials("ranker")]
    return {part for path in known for part in path.relative_to(paths.root).parts} - {"r1"}


def spelled(source: str) -> Iterator[str]:
    """Texts that a module joins to a path with `/`, as they are or by a constant's name; names of files anywhere."""
    tree = ast.parse(source)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    pieces = {piece for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if isinstance(node.right, ast.Constant) and isinstance(node.right.value, str):
                yield from Path(node.right.value).parts
            elif isinstance(node.right, ast.Name) and isinstance(text := constants.get(node.right.id), str):
                yield text
        elif (
            isinstance(node, ast.Constant) and node not in pieces and isinstance(node.value, str) and "." in node.value
        ):
            yield node.value


@pytest.mark.parametrize("package", sorted({package_of(module.name) for module in modules()} - {""}))
def test_no_other_module_spells_a_path_below_a_workspace(package: str) -> None:
    names = names_in_a_workspace()
    for module in of_package(package):
        twice = names & set(spelled(module.source)) if module.name != HOME else set()

        assert not twice, f"{module.name} spells {sorted(twice)}: ask WorkspacePaths"


@pytest.mark.parametrize(
    "source",
    [
        'path = workspace / "releases" / "r1"',
        'path = workspace / "state/store.lmdb"',
        'FOLDER = "impressions"\npath = workspace / FOLDER',
        'FILE = "channels.json"',
    ],
)
def test_a_second_spelling_is_seen(source: str) -> None:
    assert names_in_a_workspace() & set(spelled(source))


def test_other_paths_and_words_are_nobodys_business() -> None:
    assert not names_in_a_workspace() & set(spelled('"""releases"""\nstage = "events"\npath = folder / "models"'))
