"""Imports point down: between packages as ALLOWED says, between the rooms of a package in the order of ROOMS."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.architecture.house import ROOT, Module, modules, of_package, package_of

GATEWAY, EXPORTERS = "shopfuse_gateway", "shopfuse_exporters"
SERVED = {"core", "ranking", "release", "state", "recall", "v1"}  # what the gateway needs
OFFLINE = {"core", "ranking", "metrics", "release", "recall", "datasets"}
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "v1": set(),
    "ranking": {"core"},
    "metrics": {"core", "ranking"},
    "release": {"core", "ranking"},
    "state": {"core", "ranking"},
    "recall": {"core", "ranking", "release"},
    "triton": {"core", "ranking"},
    "publishing": {"core", "ranking", "release", "triton"},
    "release_store": {"core", "release", "triton", "publishing"},
    "inference": {"core", "ranking", "release"},
    "edge": {"core"},
    "datasets": {"core", "ranking", "metrics"},
    "training": OFFLINE,
    "local": {"core", "ranking", "release", "release_store", "publishing", "triton", "v1", GATEWAY},
    "evaluation": OFFLINE | {"state", "training", "inference", "local", "v1"},
    "loadtest": {"core", "ranking", "release", "release_store", "triton", "publishing", "datasets", "local", "v1"},
    GATEWAY: SERVED,
    EXPORTERS: OFFLINE | {"state", "training", "inference", "triton"},
}
# From the bottom up: a room imports only rooms before it. Loose modules that are not named stand above all rooms.
ROOMS: dict[str, tuple[str, ...]] = {
    GATEWAY: ("errors", "settings", "wire", "telemetry", "triton", "releases", "pipeline", "rpc"),
    EXPORTERS: (
        *("errors", "steps", "onnx", "precision", "verify", "triton", "encoding", "models", "tensorrt", "release"),
    ),
    "shopfuse.training": (
        *("distributed", "data", "examples", "models", "fusion", "checkpoints", "trainers"),
        *("tuning", "compression", "sequences"),
    ),
    "shopfuse.evaluation": ("judgments", "offline", "served", "report", "render"),
    "shopfuse.datasets": ("importing", "demo_shop"),
    "shopfuse.datasets.demo_shop": ("world", "catalogue", "behaviour", "truth"),
}
BELOW_ROOMS = {"shopfuse.datasets"}  # whose loose modules stand below their rooms, not above
HEAVY = {"obstore", "torch", "transformers", "onnx", "onnxruntime", "onnxscript", "polars", "pytriton", "safetensors"}


def imported_packages(module: Module) -> set[str]:
    ours = {name for name in module.imports if name.split(".")[0] in ("shopfuse", GATEWAY, EXPORTERS)}
    return {package_of(name) for name in ours} - {""}


def height(package: str, name: str) -> int | None:
    """The place of a module's room among the ROOMS of a package; None for a module of another package."""
    rooms = ROOMS[package]
    if not name.startswith(f"{package}."):
        return None
    room = name.removeprefix(f"{package}.").split(".")[0]
    if room in rooms:
        return rooms.index(room)
    return -1 if package in BELOW_ROOMS else len(rooms)


def arrows_up(package: str, module: Module) -> set[str]:
    known = {other.name for other in modules()}
    at = height(package, module.name)
    above = {name: height(package, name) for name in module.imports & known}
    return {name for name, place in above.items() if at is not None and place is not None and place > at}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_package_imports_only_what_lies_below_it(package: str) -> None:
    for module in of_package(package):
        above = imported_packages(module) - ALLOWED[package] - {package}

        assert not above, f"{module.name} imports {sorted(above)}"


@pytest.mark.parametrize("package", sorted(ROOMS))
def test_room_imports_only_rooms_below_it(package: str) -> None:
    for module in modules():
        above = arrows_up(package, module)

        assert not above, f"{module.name} imports {sorted(above)}"


def test_core_is_below_every_library_too() -> None:
    for module in of_package("core"):
        outside = {name.split(".")[0] for name in module.imports} - {"shopfuse", *sys.stdlib_module_names}

        assert not outside, f"{module.name} imports {sorted(outside)}"


@pytest.mark.parametrize("package", sorted(SERVED | {GATEWAY}))
def test_gateway_needs_no_training_library(package: str) -> None:
    for module in of_package(package):
        heavy = {name.split(".")[0] for name in module.imports} & HEAVY

        assert not heavy, f"{module.name} imports {sorted(heavy)}"


def test_every_package_has_its_arrows_declared() -> None:
    packages = {package_of(module.name) for module in modules()} - {""}

    assert packages | {"v1"} == {*ALLOWED, "cli"}  # v1 is generated; the command line may import everything


def test_no_module_imports_itself_over_others() -> None:
    names = {module.name: module.imports for module in modules()}
    left = {name: set(imports) & set(names) - {name} for name, imports in names.items()}
    while free := {name for name, imports in left.items() if not imports}:
        left = {name: imports - free for name, imports in left.items() if name not in free}

    assert not left, f"a cycle among {sorted(left)}"


def test_an_arrow_up_is_seen() -> None:
    trainer = Module("shopfuse.training.fit", Path(), "def f():\n    from shopfuse_gateway import server\n")
    stage = Module(f"{GATEWAY}.triton.client", Path(), f"from {GATEWAY}.pipeline.flow import answer\n")

    assert imported_packages(trainer) - ALLOWED["training"] == {GATEWAY}
    assert arrows_up(GATEWAY, stage) == {f"{GATEWAY}.pipeline.flow"}


def test_the_house_stands_where_it_is_looked_for() -> None:
    assert {module.path.relative_to(ROOT).parts[0] for module in modules()} == {"shopfuse", "gateway", "exporters"}
