"""The floor plan as a table: `python tests/architecture/house.py`. Read from the source alone; nothing is imported.

For each folder its loose modules and lines; then what spoils a house: small modules with one importer, class names that
occur twice, the longest module and the longest function. Generated code is left out.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "shopfuse", ROOT / "gateway" / "shopfuse_gateway", ROOT / "exporters" / "shopfuse_exporters")
TESTS = ROOT / "tests"
SMALL = 70  # lines up to which a module with one importer is perhaps a part of that importer
GENERATED = ("_pb2.py", "_pb2_grpc.py")


@dataclass(frozen=True)
class Module:
    name: str  # dotted
    path: Path
    source: str

    @property
    def lines(self) -> int:
        return self.source.count("\n")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def imports(self) -> frozenset[str]:
        """The absolute names that it imports, anywhere in it: modules, and what is taken from them."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        return frozenset(names)

    @property
    def public_classes(self) -> Iterator[str]:
        return (node.name for node in self.tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")

    @property
    def functions(self) -> Iterator[tuple[str, int]]:
        """Every function and how many lines it has, its docstring not counted."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, (node.end_lineno or 0) - node.lineno + 1 - _docstring_lines(node)


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return (first.end_lineno or 0) - first.lineno + 1
    return 0


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> tuple[Module, ...]:
    """Of the three distributions, written by hand, by name."""
    return tuple(
        Module(_dotted(path.relative_to(source.parent)), path, path.read_text(encoding="utf-8"))
        for source in SOURCES
        for path in sorted(source.rglob("*.py"))
        if not path.name.endswith(GENERATED)
    )


def package_of(name: str) -> str:
    """The distribution of a module, or its package in shopfuse; "" for what lies loose in shopfuse."""
    parts = name.split(".")
    if parts[0] != "shopfuse":
        return parts[0]
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def of_package(package: str) -> list[Module]:
    return [module for module in modules() if package_of(module.name) == package]


def rooms() -> dict[Path, list[Module]]:
    """Folder -> its loose modules."""
    inside: dict[Path, list[Module]] = defaultdict(list)
    for module in modules():
        if module.path.name != "__init__.py":
            inside[module.path.parent].append(module)
    return dict(sorted(inside.items()))


def small_with_one_importer() -> dict[str, str]:
    """Module of at most SMALL lines -> the only module that imports it. A program's entry has none."""
    importers: dict[str, list[str]] = defaultdict(list)
    names = {module.name for module in modules()}
    for module in modules():
        for name in module.imports & names if module.path.name != "__main__.py" else ():
            importers[name].append(module.name)
    return {
        module.name: importers[module.name][0]
        for module in modules()
        if module.lines <= SMALL and module.path.name != "__init__.py" and len(importers[module.name]) == 1
    }


def class_names_twice() -> dict[str, int]:
    counts = Counter(name for module in modules() for name in module.public_classes)
    return {name: count for name, count in sorted(counts.items()) if count > 1}


def longest_module() -> Module:
    return max(modules(), key=lambda module: module.lines)


def longest_test() -> tuple[Path, int]:
    return max(((path, path.read_text("utf-8").count("\n")) for path in TESTS.rglob("*.py")), key=lambda one: one[1])


def longest_function() -> tuple[str, int]:
    return max(
        ((f"{module.name}.{name}", lines) for module in modules() for name, lines in module.functions),
        key=lambda one: one[1],
    )


def main() -> None:
    print(f"{'folder':<55} modules   lines")
    for folder, inside in rooms().items():
        print(f"{folder.relative_to(ROOT)!s:<55} {len(inside):>7} {sum(module.lines for module in inside):>7}")
    small, twice = small_with_one_importer(), class_names_twice()
    module, test, function = longest_module(), longest_test(), longest_function()
    print(f"\nmodules of at most {SMALL} lines with one importer: {len(small)}")
    for name, importer in small.items():
        print(f"  {name} <- {importer}")
    print(f"public class names that occur twice: {len(twice)} {twice or ''}")
    print(f"longest module: {module.name}, {module.lines} lines")
    print(f"longest test file: {test[0].relative_to(ROOT)}, {test[1]} lines")
    print(f"longest function: {function[0]}, {function[1]} lines")


if __name__ == "__main__":
    main()
