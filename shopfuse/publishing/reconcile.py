"""Has a Triton that has just started serve what the channels name: the stable release first, then the others.

What is missing or damaged in the model repository is put there again from the release, whose files are signed. No
pointer changes here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.folders import release_root, signed_manifest
from shopfuse.publishing.loading import check_live, load_release, not_ready
from shopfuse.publishing.lock import publisher_lock
from shopfuse.publishing.placing import place, repository_problems
from shopfuse.publishing.removal import discard_other_versions, sweep
from shopfuse.release.channels import read_channels
from shopfuse.release.manifest import Manifest
from shopfuse.triton.errors import ModelControlError
from shopfuse.triton.model_control import ModelControl

LOCK_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Reconciled:
    ready: tuple[str, ...]  # releases, the stable one first; none where nothing is published
    placed: tuple[str, ...]  # folders that were missing in the model repository
    problems: dict[str, str]  # release -> why it does not answer
    seconds: float


def reconcile(workspace: Path, control: ModelControl, *, public_key: Path, progress: Progress = silent) -> Reconciled:
    """Raises PublishError where the stable release cannot be served; a broken canary or previous is a problem told."""
    began = time.monotonic()
    channels = read_channels(workspace)
    if channels.in_use:
        check_live(control)
    manifests, problems = _genuine(workspace, channels.in_use, public_key)
    placed: list[str] = []
    for release_id, manifest in manifests.items():
        try:
            placed += _place(workspace, manifest, progress)
            _load(workspace, control, manifest, progress, alone=release_id == channels.stable)
        except (ShopfuseError, OSError) as error:
            problems[release_id] = str(error)
    if channels.stable in problems:
        raise PublishError(f"the stable release {channels.stable} is not served: {problems[channels.stable]}")
    ready = tuple(name for name in channels.in_use if name not in problems)
    return Reconciled(ready, tuple(placed), problems, time.monotonic() - began)


def place_published(workspace: Path, *, public_key: Path, progress: Progress = silent) -> tuple[str, ...]:
    """Puts the models of every channel into the repository, for a Triton that starts later; gives the new folders.

    Raises PublishError where nothing is published or the stable release cannot be placed; a broken canary is left out.
    """
    channels = read_channels(workspace)
    if not channels.stable:
        raise PublishError(f"{WorkspacePaths(workspace).channels}: nothing is published yet; publish a release first")
    manifests, problems = _genuine(workspace, channels.in_use, public_key)
    if channels.stable in problems:
        raise PublishError(f"the stable release {channels.stable} is not placed: {problems[channels.stable]}")
    return tuple(placed for manifest in manifests.values() for placed in _place(workspace, manifest, progress))


def _genuine(
    workspace: Path, releases: tuple[str, ...], public_key: Path
) -> tuple[dict[str, Manifest], dict[str, str]]:
    """(The manifests of those that can be served, why the others cannot.)"""
    manifests: dict[str, Manifest] = {}
    problems: dict[str, str] = {}
    claimed: dict[str, str] = {}
    for release_id in releases:
        try:
            manifest = signed_manifest(workspace, release_id, public_key)
            files = {path: sha for path, sha in manifest.files.items() if path.startswith("models/")}
            if clash := sorted(path for path, sha in files.items() if claimed.get(path, sha) != sha):
                raise PublishError(f"{release_id}: {clash[0]} is another file than that of a release before it")
        except ShopfuseError as error:
            problems[release_id] = str(error)
        else:
            manifests[release_id] = manifest
            claimed |= files
    return manifests, problems


def _place(workspace: Path, manifest: Manifest, progress: Progress) -> list[str]:
    """Only who has something to write waits for the lock: a publisher may hold it for a while."""
    root, repository = release_root(workspace, manifest.release_id), WorkspacePaths(workspace).model_repository
    if not repository_problems(root, manifest, repository):
        return []
    with publisher_lock(workspace, LOCK_WITHIN_S):
        sweep(workspace)
        return place(root, manifest, repository, partial(progress, f"place {manifest.release_id}"), repair=True)


def _load(workspace: Path, control: ModelControl, manifest: Manifest, progress: Progress, alone: bool) -> None:
    """`alone`: where it cannot be loaded beside other releases' versions, it is loaded without them."""
    if not not_ready(control, manifest):
        return
    report = _titled(progress, f"load {manifest.release_id}")
    try:
        load_release(control, manifest, report)
    except ModelControlError:
        if not alone:
            raise
        with publisher_lock(workspace, LOCK_WITHIN_S):
            discard_other_versions(WorkspacePaths(workspace).model_repository, manifest, keep=set())
        load_release(control, manifest, report)


def _titled(progress: Progress, title: str) -> Progress:
    return lambda stage, done, total: progress(title, done, total)
