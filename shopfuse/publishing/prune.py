"""Removes old releases, and models that no channel names and no gateway holds.

First the models, then the release folders: a run that is killed in between still finds in them what to remove.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.folders import readable_manifest
from shopfuse.publishing.lock import publisher_lock
from shopfuse.publishing.publication_log import Entry, append_entry
from shopfuse.publishing.reconcile import LOCK_WITHIN_S
from shopfuse.publishing.removal import manifests_in_use, remove_models, remove_release
from shopfuse.publishing.steps import Steps
from shopfuse.publishing.switch import change
from shopfuse.release.channels import Channels
from shopfuse.release.ids import release_ids
from shopfuse.release.leases import held
from shopfuse.release.manifest import Manifest
from shopfuse.triton.model_control import ModelControl


@dataclass(frozen=True, slots=True)
class Pruned:
    kept: dict[str, str]  # release -> why
    removed: tuple[str, ...]  # releases
    removed_models: tuple[str, ...]  # folders of the model repository, such as "rank_r1" and "text_encoder/1"
    warnings: tuple[str, ...]
    seconds: float


def prune(workspace: Path, *, keep: int, control: ModelControl | None, progress: Progress = silent) -> Pruned:
    """Keeps what is in use and, beside it, the `keep` latest releases; of these only the files, not the models.

    Without `control` nothing runs. Raises PublishError.
    """
    began = time.monotonic()
    steps = Steps("prune", "the releases", progress)
    with change(workspace, steps) as run:
        with steps.step("choose"):
            if keep < 0:
                raise PublishError(f"keep: expected 0 or more releases, found {keep}")
            kept = releases_kept(workspace, run.before, keep)
            needed = manifests_in_use(workspace, run.before)
        names = release_ids(WorkspacePaths(workspace).releases)
        with steps.step("models"):
            models = remove_models(workspace, control, _readable(workspace, names), needed)
        removed = [name for name in names if name not in kept]
        with steps.step("releases"):
            for done, name in enumerate(removed):
                steps.report("releases", done, len(removed))
                remove_release(workspace, name)
        seconds = time.monotonic() - began
        warnings = _note(workspace, run.before, seconds, kept, removed, models)
        return Pruned(kept, tuple(removed), tuple(models), warnings, seconds)


def prune_models(workspace: Path, channels: Channels, control: ModelControl | None) -> tuple[str, ...]:
    """Only the models that no channel names and no gateway holds: they take memory, the files of a release do not.

    Gives the folders removed. Raises ReleaseError, and PublishError where a publisher holds the workspace.
    """
    with publisher_lock(workspace, LOCK_WITHIN_S):
        everything = _readable(workspace, release_ids(WorkspacePaths(workspace).releases))
        return tuple(remove_models(workspace, control, everything, manifests_in_use(workspace, channels)))


def _readable(workspace: Path, names: Sequence[str]) -> list[Manifest]:
    return [manifest for name in names if (manifest := readable_manifest(workspace, name))]


def releases_kept(workspace: Path, channels: Channels, keep: int) -> dict[str, str]:
    """Release -> why it stays."""
    why = _reasons(workspace, channels)
    names = release_ids(WorkspacePaths(workspace).releases)
    for name in names:
        if readable_manifest(workspace, name) is None:
            why.setdefault(name, "its manifest cannot be read: look at it and remove it by hand")
    if names:
        why.setdefault(names[0], "the latest: its number must not be given to another")
    others = [name for name in names if name not in why]
    return why | dict.fromkeys(others[:keep], f"one of the {keep} latest beside those in use")


def _reasons(workspace: Path, channels: Channels) -> dict[str, str]:
    """Later ones win: a channel says more than a gateway."""
    held_by = {release: f"held by gateway {lease.gateway}" for lease in held(workspace) for release in lease.holds}
    named = {channels.previous: "previous", channels.canary: "canary", channels.stable: "stable"}
    return held_by | {release: channel for release, channel in named.items() if release}


def _note(
    workspace: Path, channels: Channels, seconds: float, kept: dict[str, str], removed: list[str], models: list[str]
) -> tuple[str, ...]:
    details = {"kept": kept, "removed": removed, "removed_models": models}
    try:
        append_entry(workspace, Entry("prune", "", channels, channels, round(seconds, 3), details))
    except OSError as error:
        return (f"{WorkspacePaths(workspace).publication_log}: not written ({error.strerror})",)
    return ()
