"""Three distributions of one version: what each imports it declares, and the pins are those of constraints.txt."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.house import ROOT, Module, modules, of_package
from tests.architecture.test_arrows import SERVED

FOLDERS = {"shopfuse": ROOT, "shopfuse-gateway": ROOT / "gateway", "shopfuse-exporters": ROOT / "exporters"}
DEV = "dev"  # the extra that code of ours must not need
NAMESPACES = {  # parts of one package of Python
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry": "opentelemetry-api",
}
BROUGHT_BY_TRITON = {"triton_python_backend_utils"}
OURS = ("shopfuse", "buf")  # the schema of the rules in our .proto files lies in the wheel of shopfuse
BESIDE_IT = {"rtx_engine"}  # Triton loads a backend from a folder of its own, which is no package


@dataclass(frozen=True)
class Requirement:
    """`name[extras]==version`; the version is "" where none is pinned."""

    name: str
    extras: tuple[str, ...]
    version: str

    @classmethod
    def parse(cls, text: str) -> Requirement:
        match = re.fullmatch(r"([\w.-]+)(?:\[([\w,-]+)\])?(?:==(.+))?", text)
        assert match, f"{text!r}: expected name[extras]==version"
        return cls(normal(match[1]), tuple(match[2].split(",")) if match[2] else (), match[3] or "")


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def project(name: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def requirements(name: str, *extras: str) -> Iterator[Requirement]:
    """What a distribution of ours asks for with these extras. What is filled in at the build is `shopfuse` itself."""
    table = project(name)
    texts = [*table["dependencies"], *(text for extra in extras for text in table["optional-dependencies"][extra])]
    for text in texts:
        yield Requirement("shopfuse", (), "") if text.startswith("{env:SHOPFUSE_CORE:") else Requirement.parse(text)


def declared_by(name: str, *extras: str) -> set[str]:
    """The distributions that it asks for, itself or through `shopfuse`."""
    names: set[str] = set()
    for needed in requirements(name, *extras):
        names.add(needed.name)
        if needed.name == "shopfuse":
            names |= declared_by(needed.name, *needed.extras)
    return names


def third_parties(code: Iterable[Module]) -> dict[str, str]:
    """Distribution -> a module that imports it."""
    needed: dict[str, str] = {}
    for module in code:
        for name in module.imports:
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names | BROUGHT_BY_TRITON | BESIDE_IT and not top.startswith(OURS):
                needed[distribution_of(name)] = module.name
    return needed


def distribution_of(name: str) -> str:
    """Of an imported name."""
    for namespace, distribution in NAMESPACES.items():
        if name == namespace or name.startswith(f"{namespace}."):
            return distribution
    return normal(installed()[name.split(".")[0]][0])


@cache
def installed() -> Mapping[str, list[str]]:
    """Package of Python -> the distributions that hold it."""
    return packages_distributions()


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").split()
    return {pinned.name: pinned.version for pinned in map(Requirement.parse, lines)}


def test_the_three_have_one_version() -> None:
    versions = {project(name)["version"] for name in FOLDERS}
    others = {needed.version for needed in requirements("shopfuse", "gateway", "exporters") if needed.name in FOLDERS}

    assert len(versions) == 1
    assert others == versions


@pytest.mark.parametrize("name", FOLDERS)
def test_every_pin_is_that_of_the_constraints(name: str) -> None:
    pinned = constraints()
    for needed in requirements(name, *project(name).get("optional-dependencies", {})):
        if needed.name not in FOLDERS:
            assert needed.version, f"{name}: {needed.name} has no pin"
            assert needed.version == pinned.get(needed.name), f"{name}: {needed.name} in constraints.txt"


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_imported_is_declared(name: str) -> None:
    code = (module for module in modules() if module.name.split(".")[0] == name.replace("-", "_"))
    extras = [extra for extra in project(name).get("optional-dependencies", {}) if extra != DEV]

    needed, declared = third_parties(code), declared_by(name, *extras)
    undeclared = {party: module for party, module in needed.items() if party not in declared}

    assert not undeclared


@pytest.mark.parametrize("package", sorted(SERVED))
def test_what_the_gateway_needs_of_shopfuse_needs_no_extra(package: str) -> None:
    assert third_parties(of_package(package)).keys() <= declared_by("shopfuse")


def test_an_import_that_nobody_declares_is_seen() -> None:
    module = Module("shopfuse.core.odd", Path(), "import mypy.api\nfrom google.rpc import status_pb2\nimport json\n")

    assert third_parties([module]) == {"mypy": module.name, "googleapis-common-protos": module.name}
    assert "mypy" not in declared_by("shopfuse")
