"""What follows a publish: a canary is promoted or rolled back; without one, the release before answers again."""

from __future__ import annotations

from pathlib import Path

from shopfuse.core.progress import Progress, silent
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.folders import verified_manifest
from shopfuse.publishing.loading import load_release, not_ready
from shopfuse.publishing.publish import put_in_place, put_into_service
from shopfuse.publishing.steps import Steps
from shopfuse.publishing.switch import Change, Published, change, flip
from shopfuse.release.channels import Channels
from shopfuse.triton.model_control import ModelControl


def promote(
    workspace: Path, *, control: ModelControl | None, public_key: Path, progress: Progress = silent
) -> Published:
    """Makes the canary the stable release, after the checks of a publish. Raises PublishError."""
    with change(workspace, Steps("promote", "the canary", progress)) as run:
        with run.steps.step("channels"):
            release_id = run.before.canary
            if not release_id:
                raise PublishError("there is no canary; publish a release for a share of the users first")
        return put_into_service(run, "promote", release_id, run.before.published(release_id), control, public_key)


def rollback(
    workspace: Path, *, control: ModelControl | None, public_key: Path, progress: Progress = silent
) -> Published:
    """Goes back, and again forth when called twice. Raises PublishError, and then nothing has changed.

    The target's files are verified and its models ready before the flip. Only the end of a canary happens in any
    case: the stable release answers most users already, so what is wrong with it is a warning.
    """
    with change(workspace, Steps("rollback", "", progress)) as run:
        with run.steps.step("channels"):
            after = channels_before(run.before)
        try:
            _make_ready(run, after.stable, control, public_key)
        except PublishError as error:
            if not run.before.canary:
                raise
            run.warnings.append(f"the canary has ended, but: {error}")
        return flip(run, "rollback", after.stable, after)


def channels_before(channels: Channels) -> Channels:
    """What the channels are after a rollback."""
    if channels.canary:
        return channels.without_canary()
    if not channels.previous:
        raise PublishError(f"no release was stable before {channels.stable or 'the first one'}: publish one instead")
    return channels.rolled_back()


def _make_ready(run: Change, release_id: str, control: ModelControl | None, public_key: Path) -> None:
    steps = run.steps
    with steps.step("verify"):
        manifest = verified_manifest(run.workspace, release_id, public_key)
    put_in_place(run, manifest)
    if control:
        with steps.step("load"):
            if not_ready(control, manifest):
                load_release(control, manifest, lambda _, done, total: steps.report("load", done, total))
