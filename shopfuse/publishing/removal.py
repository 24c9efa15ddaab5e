"""Takes models out of Triton and its repository that no release in use needs: a refused release's, and pruned ones'.

Ensembles go first, because Triton reads their folders while it holds them. A version goes when its folder is gone and
its model is loaded again; the versions that stay are not disturbed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shopfuse.core.atomic_files import sync
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.placing import STAGING
from shopfuse.release.channels import Channels
from shopfuse.release.leases import held
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import read_manifest
from shopfuse.triton.model_control import ModelControl

PRUNED = ".pruned-"


@dataclass(frozen=True, slots=True)
class ModelsInUse:
    """Names of ensembles and (plain model, version)."""

    ensembles: frozenset[str]
    versions: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> ModelsInUse:
        manifests = list(manifests)
        return cls(
            frozenset(name for manifest in manifests for name in manifest.ensembles.values()),
            frozenset((model.model, model.version) for manifest in manifests for model in manifest.models.values()),
        )


def releases_in_use(workspace: Path, channels: Channels) -> set[str]:
    """What a channel names or a running gateway holds."""
    return {*channels.in_use, *(release for lease in held(workspace) for release in lease.holds)}


def manifests_in_use(workspace: Path, channels: Channels) -> list[Manifest]:
    """Raises ReleaseError where one cannot be read: what it needs is then unknown."""
    paths = WorkspacePaths(workspace)
    return [read_manifest(paths.release(name)) for name in sorted(releases_in_use(workspace, channels))]


def remove_models(
    workspace: Path, control: ModelControl | None, unwanted: Iterable[Manifest], needed: Iterable[Manifest]
) -> list[str]:
    """Removes what the unwanted releases have and the needed ones have not; gives the folders removed."""
    repository = WorkspacePaths(workspace).model_repository
    keep, all_ = ModelsInUse.of(needed), ModelsInUse.of(unwanted)
    ensembles = [name for name in sorted(all_.ensembles - keep.ensembles) if (repository / name).exists()]
    versions = [
        (model, version)
        for model, version in sorted(all_.versions - keep.versions)
        if (repository / model / str(version)).exists()
    ]
    loaded = {entry.name for entry in control.ready_models()} if control else set()
    for name in ensembles:
        _unload(control, name, loaded)
        _discard(repository / name, repository)
    for model, version in versions:
        _discard(repository / model / str(version), repository)
    for model in sorted({model for model, _ in versions}):
        _forget_versions(repository, control, model, loaded)
    return ensembles + [f"{model}/{version}" for model, version in versions]


def _forget_versions(repository: Path, control: ModelControl | None, model: str, loaded: set[str]) -> None:
    """Triton drops the versions whose folders are gone; a model without any goes altogether."""
    if not any(path.name.isdecimal() for path in (repository / model).iterdir()):
        _unload(control, model, loaded)
        _discard(repository / model, repository)
    elif control and model in loaded:
        control.load(model)


def _unload(control: ModelControl | None, name: str, loaded: set[str]) -> None:
    if control and name in loaded:
        control.unload(name)


def _discard(folder: Path, repository: Path) -> None:
    """Never half of it under its name."""
    trash = repository / STAGING
    shutil.rmtree(trash, ignore_errors=True)
    trash.mkdir()
    folder.rename(trash / folder.name)
    sync(folder.parent)
    shutil.rmtree(trash)


def remove_release(workspace: Path, release_id: str) -> None:
    """Never half of it under its name."""
    root = WorkspacePaths(workspace).release(release_id)
    trash = root.with_name(f"{PRUNED}{release_id}")
    root.rename(trash)
    sync(root.parent)
    shutil.rmtree(trash)


def sweep(workspace: Path) -> None:
    """Removes what a killed run left behind; the caller holds the lock."""
    paths = WorkspacePaths(workspace)
    shutil.rmtree(paths.model_repository / STAGING, ignore_errors=True)
    for trash in paths.releases.glob(f"{PRUNED}*"):
        shutil.rmtree(trash)
    for staged in paths.releases.glob(f".{paths.channels.name}.*"):
        staged.unlink(missing_ok=True)


def discard_other_versions(repository: Path, manifest: Manifest, keep: set[str]) -> None:
    """Removes versions of this release's models that are neither its own nor in `keep` ("text_encoder/2").

    Triton loads all versions of a model or none: one that a killed run left and that cannot be loaded would stop
    every later one.
    """
    keep = keep | {f"{model.model}/{model.version}" for model in manifest.models.values()}
    for model in {model.model for model in manifest.models.values()}:
        for folder in sorted((repository / model).glob("[0-9]*")):
            if f"{model}/{folder.name}" not in keep:
                _discard(folder, repository)
