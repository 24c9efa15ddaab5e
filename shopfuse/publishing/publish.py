"""Publishing a release, for everybody or for a share of the users.

Every step before the flip can be refused or killed: the releases that serve keep serving, and the next run begins
with what it finds. Only models that answer as they were trained are published, or ones that somebody has accepted,
giving a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.folders import release_root, verified_manifest
from shopfuse.publishing.golden import check_golden
from shopfuse.publishing.loading import check_live, load_release
from shopfuse.publishing.placing import place
from shopfuse.publishing.removal import discard_other_versions, manifests_in_use, remove_models
from shopfuse.publishing.steps import Steps
from shopfuse.publishing.switch import Change, Published, change, flip
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.triton.model_control import ModelControl


def publish(
    workspace: Path,
    release_id: str,
    *,
    control: ModelControl | None,
    public_key: Path,
    share: float | None = None,
    progress: Progress = silent,
) -> Published:
    """Puts a release into service: for everybody, or as the canary for a share (0 to 1] of the users.

    Without `control` nothing runs: the models are placed, and loaded when Triton starts (see reconcile). Raises
    PublishError, and then nothing that serves has changed.
    """
    with change(workspace, Steps("publish", release_id, progress)) as run:
        with run.steps.step("channels"):
            after = channels_with(run.before, release_id, share)
        return put_into_service(run, "publish" if share is None else "canary", release_id, after, control, public_key)


def channels_with(before: Channels, release_id: str, share: float | None) -> Channels:
    """What the channels are once a release is published."""
    if share is None:
        return before.published(release_id)
    if not 0 < share <= 1:
        raise PublishError(f"share: expected more than 0 and at most 1, found {share}")
    if not before.stable:
        raise PublishError("nothing is published yet, so a canary has nothing beside it: publish without a share")
    if before.stable == release_id:
        raise PublishError(f"{release_id} is stable: it answers everybody already")
    return before.with_canary(release_id, share)


def put_into_service(
    run: Change, action: str, release_id: str, after: Channels, control: ModelControl | None, public_key: Path
) -> Published:
    """All the checks, and at the end the flip to `after`."""
    with prepared(run, release_id, control, public_key):
        if not control:
            run.warnings.append("no Triton was given: the models are loaded, and checked, when one starts")
        return flip(run, action, release_id, after)


@contextmanager
def prepared(run: Change, release_id: str, control: ModelControl | None, public_key: Path) -> Iterator[None]:
    """The release is verified, placed, loaded and has answered its golden queries; taken back where the block fails."""
    steps = run.steps
    with steps.step("verify"):
        manifest = verified_manifest(run.workspace, release_id, public_key)
    with steps.step("parity"):
        _check_parity(manifest)
    with _taken_back(run, control, manifest):
        if control:
            with steps.step("triton"):
                check_live(control)
                _discard_leftovers(run.workspace, control, manifest)
        put_in_place(run, manifest)
        if control:
            with steps.step("load"):
                load_release(control, manifest, lambda _, done, total: steps.report("load", done, total))
            with steps.step("golden"):
                run.golden = check_golden(release_root(run.workspace, release_id), manifest, control).summary()
        run.prepared.append(manifest)
        yield


def _check_parity(manifest: Manifest) -> None:
    """Fails closed: a model without a report has not passed."""
    reports = dict.fromkeys(manifest.models) | manifest.parity
    for model, report in sorted(reports.items()):
        if not _passed(report) and not manifest.overrides.get(model, "").strip():
            raise PublishError(f"{model}: {_failure(report)}, and manifest.overrides has no reason to accept it")


def _passed(report: Any) -> bool:
    return isinstance(report, dict) and report.get("passed") is True


def _failure(report: Any) -> str:
    if not isinstance(report, dict):
        return "there is no parity report"
    telling = ("problem", "max_abs_diff", "cosine_min", "worst_case")
    numbers = ", ".join(f"{name} {report[name]}" for name in telling if name in report)
    return f"its parity check failed ({numbers or 'no numbers'})"


def put_in_place(run: Change, manifest: Manifest) -> None:
    root = release_root(run.workspace, manifest.release_id)
    with run.steps.step("place"):
        report = partial(run.steps.report, "place")
        run.placed = place(root, manifest, WorkspacePaths(run.workspace).model_repository, report)


def _discard_leftovers(workspace: Path, control: ModelControl, manifest: Manifest) -> None:
    """See discard_other_versions. Nothing goes where it is unknown what a release in use needs."""
    with suppress(ReleaseError):
        in_use = manifests_in_use(workspace, read_channels(workspace))
        used = {f"{model.model}/{model.version}" for each in in_use for model in each.models.values()}
        ready = {f"{entry.name}/{entry.version}" for entry in control.ready_models()}
        discard_other_versions(WorkspacePaths(workspace).model_repository, manifest, ready | used)


@contextmanager
def _taken_back(run: Change, control: ModelControl | None, manifest: Manifest) -> Iterator[None]:
    """Where the block fails, what no release in use or prepared needs of this one leaves Triton and the repository.

    Where that fails too (Triton may be what failed), what is left is found and used, or removed, by the next run.
    """
    try:
        yield
    except BaseException:
        run.prepared = [other for other in run.prepared if other is not manifest]
        with suppress(ShopfuseError, OSError):
            in_use = manifests_in_use(run.workspace, read_channels(run.workspace))
            remove_models(run.workspace, control, [manifest], in_use + run.prepared)
        raise
