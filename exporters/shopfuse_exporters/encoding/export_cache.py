"""The exported and verified text encoder, kept between runs: an export takes ten seconds, and shards share one file.

Kept by the hash of everything that the file depends on, below WORKSPACE/cache/exports/. The file is checked against
its recorded hash whenever it is found again; what does not fit is exported anew.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

import shopfuse.inference
import shopfuse_exporters
from shopfuse.core.atomic_files import sync_tree
from shopfuse.ranking.tensors import Submodel
from shopfuse.release.verify import sha256_file
from shopfuse_exporters.precision.weight_bits import weight_bits
from shopfuse_exporters.verify.parity import ParityReport
from shopfuse_exporters.verify.verified_model import VerifiedModel

LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")  # of other versions the same weights give other files
KEY_LENGTH = 16
Export = Callable[[Path], VerifiedModel]  # exports and verifies into the folder that it is given


def export_once(cache: Path, declaration: Submodel, module: nn.Module, precision: str, export: Export) -> VerifiedModel:
    """What `export` gave for these weights, or gives now. The sample that `export` calibrates and checks with is not
    part of the key: a catalogue that grows does not give another encoder.

    Needs no lock: of two processes that export at once, one file stays.
    """
    folder = cache / f"{declaration.name}-{_key(declaration, module, precision)}"
    exported = _read(folder, declaration)
    if exported is not None:
        return exported
    staged = cache / f".{folder.name}.{os.uname().nodename}.{os.getpid()}"
    try:
        staged.mkdir(parents=True)
        _write_record(staged, export(staged))
        if _read(folder, declaration) is None:  # otherwise another process was faster
            shutil.rmtree(folder, ignore_errors=True)
            _rename(staged, folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    exported = _read(folder, declaration)
    assert exported is not None  # it was written a moment ago
    return exported


def _rename(staged: Path, folder: Path) -> None:
    try:
        staged.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster by a hair
            raise


def _key(declaration: Submodel, module: nn.Module, precision: str) -> str:
    versions = [f"{name} {version(name)}" for name in LIBRARIES]
    if precision.startswith("int8"):  # fp32 is the same on every machine, which shards rely on
        versions.append(f"{weight_bits()} bits")
    digest = hashlib.sha256(repr((declaration, type(module).__name__, versions, precision)).encode())
    for source in _sources(module):
        digest.update(source)
    for name, weight in module.state_dict().items():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:KEY_LENGTH]


def _sources(module: nn.Module) -> list[bytes]:
    """The code that makes and judges the file: a release of shopfuse that exports or gates otherwise does so anew."""
    packages = (Path(package.__path__[0]) for package in (shopfuse_exporters, shopfuse.inference))
    code = (path for package in packages for path in sorted(package.rglob("*.py")))
    return [path.read_bytes() for path in (Path(inspect.getfile(type(module))), *code)]


def _write_record(folder: Path, model: VerifiedModel) -> None:
    record: dict[str, Any] = {"file": model.path.name, "sha256": sha256_file(model.path), "precision": model.precision}
    record["report"] = model.report.as_dict()
    (folder / "export.json").write_text(json.dumps(record, indent=2, sort_keys=True))
    sync_tree(folder)


def _read(folder: Path, declaration: Submodel) -> VerifiedModel | None:
    """None where there is none, or none that is whole."""
    try:
        record = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        path, report = folder / record["file"], ParityReport(**record["report"])
        precision = record["precision"]
        whole = sha256_file(path) == record["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return VerifiedModel(declaration, path, report, precision) if whole else None
