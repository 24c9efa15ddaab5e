"""Seals plans into a release: the next release, equal to one of target gpu-ort but for its models and ensembles.

A model with plans is served by TensorRT's backend; one without keeps its gpu-ort version, so a plan that could not be
built costs speed and not the release. Plans lie beside their ONNX file and are signed with everything else. Nothing
is trained, encoded or served here, and no GPU is needed: this runs where the private key is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import atomic_folder, write_bytes
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock
from shopfuse.ranking.tensors import Submodel
from shopfuse.release.ids import next_release_id
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import MODEL_FILE, Manifest, ModelVersion, model_file
from shopfuse.release.signature import sign
from shopfuse.release.verify import file_hashes, verify_release
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.tensorrt.build_plan import plans_of
from shopfuse_exporters.tensorrt.plan_record import PlanRecord, record_file
from shopfuse_exporters.triton.ensembles import ensemble_config
from shopfuse_exporters.triton.model_config import WARMUP_FOLDER, model_config, warmup_files
from shopfuse_exporters.triton.repository import CONFIG_FILE, KnownModel, known_models, put_ensemble, take_name
from shopfuse_exporters.triton.targets import TENSORRT

Plans = Mapping[Path, PlanRecord]
SOURCE, TARGET = "gpu-ort", "tensorrt"


def release_with_plans(workspace: Workspace, release_id: str) -> Manifest:
    """Writes and signs the next release. Raises ExportError where the release is not for GPUs or no plan fits it."""
    with workspace_lock(workspace.root):
        root = workspace.paths.release(release_id)
        source = verify_release(root, workspace.paths.public_key)
        plans, declared = _plans(workspace.root, source), source.declared()
        next_id = next_release_id(workspace.paths.releases)
        with atomic_folder(workspace.paths.release(next_id)) as staged:
            _link_all_but_models(root, staged)
            known = known_models(workspace.paths.releases, workspace.paths.model_repository)
            versions = {
                name: _put(ReleaseLayout(staged).models, root, name, model, plans.get(name, {}), known, declared[name])
                for name, model in source.models.items()
            }
            manifest = _manifest(staged, next_id, source, versions)
            write_bytes(ReleaseLayout(staged).manifest, manifest.to_json().encode())
            signature = sign(manifest.to_json().encode(), workspace.paths.private_key)
            write_bytes(ReleaseLayout(staged).signature, signature)
    return manifest


def _plans(workspace: Path, source: Manifest) -> dict[str, Plans]:
    """Plans by submodel, of the TensorRT that config.pbtxt names."""
    if source.target != SOURCE:
        raise ExportError(
            f"release {source.release_id} is for target {source.target}, expected {SOURCE}: its golden answers and "
            f"tolerances are not those of a GPU; build it with --target {SOURCE}"
        )
    declared = source.declared()
    built = {name: plans_of(workspace, declared[name], model.sha256) for name, model in source.models.items()}
    fitting: dict[str, Plans] = {
        name: {path: record for path, record in plans.items() if record.tensorrt.startswith(f"{TENSORRT}.")}
        for name, plans in built.items()
    }
    if not any(fitting.values()):
        folder = WorkspacePaths(workspace).plans
        raise ExportError(f"release {source.release_id}: no plan of TensorRT {TENSORRT} in {folder}")
    return fitting


def _link_all_but_models(source: Path, staged: Path) -> None:
    """Releases are immutable, so their files can be shared."""
    own = (ReleaseLayout(source).manifest, ReleaseLayout(source).signature)
    for path in source.rglob("*"):
        if path.is_file() and path not in own and not path.is_relative_to(ReleaseLayout(source).models):
            _link(path, staged / path.relative_to(source))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _put(
    models: Path,
    source: Path,
    submodel: str,
    version: ModelVersion,
    plans: Plans,
    known: Mapping[str, KnownModel],
    declaration: Submodel,
) -> ModelVersion:
    """One model of the new release: with its plans, or as it was."""
    origin = ReleaseLayout(source).models / version.model
    if not plans:
        for path in filter(Path.is_file, origin.rglob("*")):
            _link(path, models / version.model / path.relative_to(origin))
        return version
    config = model_config(declaration, TARGET)
    text = take_name(config, known)
    name = str(config.name)
    beside = {file.name: file for plan in plans for file in (plan, plan.with_name(record_file(plan.name)))}
    number = known.get(name, KnownModel(b"")).version_of(version.sha256, beside)
    _link(origin / str(version.version) / MODEL_FILE, models / name / str(number) / MODEL_FILE)
    for file, path in beside.items():  # copied: whoever may write plans must not be able to write releases
        shutil.copyfile(path, models / name / str(number) / file)
    (models / name / CONFIG_FILE).write_bytes(text)
    _put_warmup(models / name / WARMUP_FOLDER, declaration)
    return replace(version, model=name, version=number)


def _put_warmup(folder: Path, declaration: Submodel) -> None:
    for path, contents in warmup_files(declaration).items():
        folder.mkdir(exist_ok=True)
        (folder / path).write_bytes(contents)


def _manifest(staged: Path, release_id: str, source: Manifest, versions: dict[str, ModelVersion]) -> Manifest:
    declared = source.declared()
    ensembles = {
        role: put_ensemble(ReleaseLayout(staged).models, ensemble_config(role, release_id, declared, versions))
        for role in source.ensembles
    }
    return replace(
        source,
        release_id=release_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        models=versions,
        ensembles=ensembles,
        files=file_hashes(staged),
        target=TARGET,
        built_with=_renamed(source, versions),
        made_by=_made_by(source),
    )


def _renamed(source: Manifest, versions: Mapping[str, ModelVersion]) -> dict[str, dict[str, str]]:
    """built_with, with the models' files where they are now."""
    moved = {model_file(old): model_file(versions[name]) for name, old in source.models.items()}
    return {moved.get(path, path): ingredients for path, ingredients in source.built_with.items()}


def _made_by(source: Manifest) -> dict[str, Any]:
    return {**source.made_by, "plans_for": source.release_id}
