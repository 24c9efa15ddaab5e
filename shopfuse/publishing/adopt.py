"""Makes a workspace serve the channels of another: each release is prepared as for a publish, then the pointer flips.

What cannot be served is left out, so that a broken canary keeps nobody from the stable release; without that release
nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress, silent
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.folders import signed_manifest
from shopfuse.publishing.loading import not_ready
from shopfuse.publishing.publish import prepared
from shopfuse.publishing.steps import Steps
from shopfuse.publishing.switch import Change, Published, change, flip
from shopfuse.release.channels import Channels
from shopfuse.triton.model_control import ModelControl


@dataclass(frozen=True, slots=True)
class Adopted:
    published: Published | None  # None where the workspace had these channels already
    problems: dict[str, str]  # release -> why no channel names it here


def adopt(
    workspace: Path,
    wanted: Channels,
    missing: Mapping[str, str],
    *,
    control: ModelControl | None,
    public_key: Path,
    progress: Progress = silent,
) -> Adopted:
    """`missing`: releases that are known not to be here, and why. Raises PublishError where the stable one fails.

    Without `control` the models are placed, and loaded when Triton starts.
    """
    problems = dict(missing)
    with change(workspace, Steps("sync", "", progress)) as run, ExitStack() as stack:
        for name in wanted.in_use:
            if name in problems or _serves(run, name, control, public_key):
                continue
            try:
                stack.enter_context(prepared(run, name, control, public_key))
            except PublishError as error:
                problems[name] = f"{name} is left out: {error}"
        if wanted.stable in problems:
            raise PublishError(problems[wanted.stable])
        after = without(wanted, problems)
        return Adopted(None if after == run.before else flip(run, "sync", after.stable, after), problems)


def without(channels: Channels, releases: Mapping[str, str]) -> Channels:
    """The same, its canary and previous only where they are none of these."""
    left = channels.without_canary() if channels.canary in releases else channels
    return replace(left, previous="") if left.previous in releases else left


def _serves(run: Change, release_id: str, control: ModelControl | None, public_key: Path) -> bool:
    """Whether it was prepared before, and nothing has taken it out since."""
    if release_id not in run.before.in_use:
        return False
    try:
        manifest = signed_manifest(run.workspace, release_id, public_key)
        return control is not None and not not_ready(control, manifest)
    except ShopfuseError:
        return False
