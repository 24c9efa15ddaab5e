"""The models of a release: its part of a Triton model repository, where a name and a version mean one thing for ever.

A plain model's name stands for one config.pbtxt, byte for byte, and a version of it for the same files: so publishing
adds versions and never changes what is served. A model with another config (tensors, target) gets a numbered name, one
with known bytes keeps its version.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import MODEL_FILE, ModelVersion
from shopfuse.release.verify import read_manifest, sha256_file
from shopfuse_exporters.triton.model_config import WARMUP_FOLDER, config_text, model_config, warmup_files
from shopfuse_exporters.verify.verified_model import VerifiedModel

CONFIG_FILE = "config.pbtxt"
_VERSION = re.compile(r"[1-9][0-9]*")


@dataclass(slots=True)
class KnownModel:
    """A name that earlier releases have taken: its config, and for each version where its file is and its sha256."""

    config: bytes
    versions: dict[int, tuple[str, Path | None]] = field(default_factory=dict)

    def version_of(self, digest: str, beside: Mapping[str, Path]) -> int:
        """That of the same ONNX file with the same files beside it, else the next one."""
        wanted = {name: sha256_file(path) for name, path in beside.items()}
        for version, (held, onnx) in self.versions.items():
            if held == digest and (_hashes_beside(onnx) if onnx else {}) == wanted:
                return version
        return 1 + max(self.versions, default=0)


def _hashes_beside(onnx: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in onnx.parent.glob("*") if path.name != onnx.name}


def known_models(releases: Path, repository: Path) -> dict[str, KnownModel]:
    """By Triton name, all models of the releases of a workspace and of its repository."""
    known: dict[str, KnownModel] = {}
    for manifest in sorted(releases.glob("*/manifest.json")):
        for version in read_manifest(manifest.parent).models.values():
            folder = ReleaseLayout(manifest.parent).models / version.model
            model = known.setdefault(version.model, KnownModel(_config(folder)))
            model.versions[version.version] = (version.sha256, folder / str(version.version) / MODEL_FILE)
    for folder in _folders(repository):
        model = known.setdefault(folder.name, KnownModel(_config(folder)))
        for number in versions(folder):
            model.versions.setdefault(number, ("", None))  # its release is gone; the number is not given again
    return known


def put_models(
    folder: Path,
    verified: Mapping[str, VerifiedModel],
    known: dict[str, KnownModel],
    target: str,
    beside: Callable[[str], Mapping[str, Path]],
) -> dict[str, ModelVersion]:
    """Writes the models into `folder`, each with the files `beside` its ONNX file (such as an engine), by their names;
    gives their names, versions and hashes by submodel."""
    return {name: _put_model(folder, model, known, target, beside(name)) for name, model in verified.items()}


def _put_model(
    folder: Path, model: VerifiedModel, known: dict[str, KnownModel], target: str, beside: Mapping[str, Path]
) -> ModelVersion:
    digest = sha256_file(model.path)
    config = model_config(model.declaration, target, precision=model.precision, onnx_sha256=digest)
    text = take_name(config, known)
    name = str(config.name)
    earlier = known.setdefault(name, KnownModel(text))
    version = earlier.version_of(digest, beside)
    file = folder / name / str(version) / MODEL_FILE
    file.parent.mkdir(parents=True)
    held = earlier.versions.get(version, ("", None))[1]
    link_or_copy(held, model.path, file)
    for companion, source in beside.items():
        link_or_copy(held.with_name(companion) if held else None, source, file.with_name(companion))
    (folder / name / CONFIG_FILE).write_bytes(text)
    for path, contents in warmup_files(model.declaration).items():
        (folder / name / WARMUP_FOLDER).mkdir(exist_ok=True)
        (folder / name / WARMUP_FOLDER / path).write_bytes(contents)
    return ModelVersion(name, version, model.precision, digest)


def take_name(config: Any, known: Mapping[str, KnownModel]) -> bytes:
    """Names the config: the first of name, name_2, name_3 ... that is free or stands for it. Gives it as text."""
    first = config.name
    for number in count(1):
        config.name = first if number == 1 else f"{first}_{number}"
        text = config_text(config).encode()
        if config.name not in known or known[config.name].config == text:
            return text
    raise AssertionError("the names do not end")


def link_or_copy(earlier: Path | None, source: Path, target: Path) -> None:
    """A file that an earlier release holds is linked: releases are immutable, and an encoder is 90 MB."""
    if earlier is not None and earlier.is_file() and sha256_file(earlier) == sha256_file(source):
        try:
            os.link(earlier, target)
            return
        except OSError:
            pass  # a file system without links
    shutil.copyfile(source, target)


def put_ensemble(folder: Path, config: Any) -> str:
    """Writes an ensemble into `folder`; gives its name."""
    target = folder / config.name
    (target / "1").mkdir(parents=True)
    (target / CONFIG_FILE).write_text(config_text(config))
    # Triton wants a version folder, and stores of objects do not keep empty ones.
    (target / "1" / "README").write_text("An ensemble has no file of its own; see ../config.pbtxt.\n")
    return str(config.name)


def versions(folder: Path) -> list[int]:
    """The versions in a model's folder."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if _VERSION.fullmatch(name))


def _folders(repository: Path) -> list[Path]:
    return sorted(path.parent for path in repository.glob(f"*/{CONFIG_FILE}"))


def _config(folder: Path) -> bytes:
    path = folder / CONFIG_FILE
    return path.read_bytes() if path.is_file() else b""
