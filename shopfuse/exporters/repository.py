"""The Triton model repository of a workspace: immutable version folders of plain models, and a release's ensembles.

A version appears whole or not at all. A model whose bytes are those of its latest version keeps that version. Nothing
here loads or unloads: a running Triton sees a version when it is told to.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from shopfuse.exporters.errors import RepositoryError
from shopfuse.exporters.model_config import WARMUP_FOLDER, config_text, model_config, parse_config, warmup_files
from shopfuse.exporters.staging import staged_folder, write_synced
from shopfuse.ranking.tensors import Submodel
from shopfuse.release.manifest import ModelVersion
from shopfuse.release.verify import sha256_file

MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.pbtxt"
_VERSION = re.compile(r"[1-9][0-9]*")


def put_model(repository: Path, declaration: Submodel, onnx: Path) -> ModelVersion:
    """Makes the verified file `onnx` the latest version of its model; gives the version and its files' sha256.

    Raises RepositoryError where the repository holds versions of this model with other tensors: they share one config.
    """
    folder = repository / declaration.name
    config = model_config(declaration)
    _check_tensors(folder / CONFIG_FILE, config)
    digest = sha256_file(onnx)
    latest = max(versions(folder), default=0)
    if latest and _holds(folder / str(latest) / MODEL_FILE, digest):
        version = latest
    else:
        version = latest + 1
        with staged_folder(folder / str(version)) as staged:
            shutil.copyfile(onnx, staged / MODEL_FILE)
    for name, contents in warmup_files(declaration).items():
        write_synced(folder / WARMUP_FOLDER / name, contents)
    # Last: until now a first version was invisible, and later ones changed nothing that Triton had read.
    write_synced(folder / CONFIG_FILE, config_text(config).encode())
    return ModelVersion(version, {f"{version}/{MODEL_FILE}": digest})


def put_ensemble(repository: Path, config: Any) -> str:
    """Writes an ensemble; what an interrupted build left under its name is replaced."""
    with staged_folder(repository / config.name) as staged:
        (staged / CONFIG_FILE).write_text(config_text(config))
        (staged / "1").mkdir()
        # Triton wants a version folder, and stores of objects do not keep empty ones.
        (staged / "1" / "README").write_text("An ensemble has no file of its own; see ../config.pbtxt.\n")
    return str(config.name)


def versions(folder: Path) -> list[int]:
    """The versions in a model's folder."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if _VERSION.fullmatch(name))


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_file(path) == digest


def _check_tensors(path: Path, config: Any) -> None:
    if not path.is_file():
        return
    held = parse_config(path.read_text())
    for kind in ("input", "output"):
        before, now = (_signature(getattr(message, kind)) for message in (held, config))
        if before != now:
            raise RepositoryError(
                f"{path}: {kind}s are {before}, the new version has {now}; versions of a model share their tensors: "
                "build in a new workspace, or remove this one's model_repository and releases first"
            )


def _signature(tensors: Any) -> str:
    return ", ".join(f"{tensor.name} {list(tensor.dims)}" for tensor in tensors)
