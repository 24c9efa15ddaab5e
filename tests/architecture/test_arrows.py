"""Imports point down: each package may import only the packages that it is allowed to."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "shopfuse"
LEAVES = {"core", "ranking", "release", "state", "recall", "v1"}
EVERYTHING = LEAVES | {"datasets", "training", "exporters", "serving", "publishing", "gateway"}
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "v1": set(),
    "ranking": {"core"},
    "release": {"core", "ranking"},
    "state": {"core", "ranking"},
    "recall": {"core", "ranking", "release"},
    "datasets": {"core", "ranking"},
    "training": {"core", "ranking", "release", "datasets", "recall"},
    "exporters": {"core", "ranking", "release", "state", "recall", "datasets", "training", "serving"},
    "serving": {"core", "ranking"},
    "publishing": {"core", "ranking", "release", "serving"},
    "gateway": {"core", "ranking", "release", "state", "recall", "v1"},
    "cli": EVERYTHING,
}
# Not Pillow: the gateway decodes the pictures of searches.
HEAVY = {"torch", "transformers", "onnx", "onnxruntime", "onnxscript", "polars", "pytriton", "safetensors"}
# Publishing reads its golden queries from safetensors; the gateway does not need them.
WITHOUT_HEAVY = {"core", "ranking", "release", "state", "recall", "gateway", "v1"}


def imported_modules(source: str) -> set[str]:
    """The absolute names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def package_imports(package: str) -> dict[Path, set[str]]:
    files = sorted((PACKAGE / package).rglob("*.py"))
    return {file: imported_modules(file.read_text()) for file in files}


def siblings(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("shopfuse.")}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_package_imports_only_what_lies_below_it(package: str) -> None:
    for file, modules in package_imports(package).items():
        above = siblings(modules) - ALLOWED[package] - {package}

        assert not above, f"{file.relative_to(ROOT)} imports {sorted(above)}"


@pytest.mark.parametrize("package", sorted(WITHOUT_HEAVY))
def test_gateway_image_needs_no_training_library(package: str) -> None:
    for file, modules in package_imports(package).items():
        heavy = {name.split(".")[0] for name in modules} & HEAVY

        assert not heavy, f"{file.relative_to(ROOT)} imports {sorted(heavy)}"


def test_core_needs_the_standard_library_only() -> None:
    for file, modules in package_imports("core").items():
        foreign = {name.split(".")[0] for name in modules} - sys.stdlib_module_names - {"shopfuse"}

        assert not foreign, f"{file.relative_to(ROOT)} imports {sorted(foreign)}"


def test_every_package_has_its_arrows_declared() -> None:
    found = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}

    assert found == set(ALLOWED)


def test_an_arrow_up_is_seen() -> None:
    modules = imported_modules("def f():\n    from shopfuse.gateway import server\n")

    assert siblings(modules) - ALLOWED["training"] == {"gateway"}
