"""The flip: from one breath to the next another release answers. Then the gateways are waited for, and it is noted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.lock import publisher_lock
from shopfuse.publishing.publication_log import Entry, append_entry
from shopfuse.publishing.removal import sweep
from shopfuse.publishing.steps import Steps
from shopfuse.release.channels import Channels, read_channels, write_channels
from shopfuse.release.leases import held
from shopfuse.release.manifest import Manifest

GATEWAYS_WITHIN_S = 15.0
LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish, promote or rollback has changed."""

    action: str  # publish | canary | promote | rollback
    release_id: str  # the release that it put in a channel
    before: Channels
    after: Channels
    placed: tuple[str, ...]  # folders that are new in the model repository
    golden: dict[str, Any]  # summary of the golden queries' report; empty where none were run
    late_gateways: tuple[str, ...]  # they did not answer with it in time
    warnings: tuple[str, ...]
    seconds: float
    step_seconds: dict[str, float]


@dataclass(slots=True)
class Change:
    """A run on its way to a flip, the lock held."""

    workspace: Path
    steps: Steps
    before: Channels
    began: float = field(default_factory=time.monotonic)
    placed: list[str] = field(default_factory=list)
    prepared: list[Manifest] = field(default_factory=list)  # their models stay, whatever becomes of the next one
    golden: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@contextmanager
def change(workspace: Path, steps: Steps) -> Iterator[Change]:
    """Takes the lock, clears away what a killed run left, and reads the channels."""
    began = time.monotonic()
    with ExitStack() as stack:
        with steps.step("lock"):
            stack.enter_context(publisher_lock(workspace))
        with steps.step("sweep"):
            sweep(workspace)
            before = read_channels(workspace)
        yield Change(workspace, steps, before, began)


def flip(run: Change, action: str, release_id: str, after: Channels) -> Published:
    """After the pointer has changed nothing can fail any more; what is not as it should be is a warning."""
    with run.steps.step("flip"):
        write_channels(run.workspace, after)
    with run.steps.step("gateways"):
        late = _wait_for_gateways(run.workspace, after)
    if late:
        run.warnings.append(f"{', '.join(late)}: answers with another release still; see its log")
    with run.steps.step("journal"):
        _note(run, action, release_id, after, late)
    return Published(
        action=action,
        release_id=release_id,
        before=run.before,
        after=after,
        placed=tuple(run.placed),
        golden=run.golden,
        late_gateways=late,
        warnings=tuple(run.warnings),
        seconds=time.monotonic() - run.began,
        step_seconds=dict(run.steps.seconds),
    )


def _wait_for_gateways(workspace: Path, channels: Channels) -> tuple[str, ...]:
    """The gateways that do not answer with these channels within GATEWAYS_WITHIN_S; none where all do."""
    give_up = time.monotonic() + GATEWAYS_WITHIN_S
    while late := _late_gateways(workspace, channels):
        if time.monotonic() > give_up:
            break
        time.sleep(LOOK_EVERY_S)
    return late


def _late_gateways(workspace: Path, channels: Channels) -> tuple[str, ...]:
    wanted = channels.stable, channels.canary
    return tuple(lease.gateway for lease in held(workspace) if (lease.stable, lease.canary) != wanted)


def _note(run: Change, action: str, release_id: str, after: Channels, late: tuple[str, ...]) -> None:
    details = {"golden": run.golden, "late_gateways": late, "placed": run.placed, "warnings": list(run.warnings)}
    seconds = round(time.monotonic() - run.began, 3)
    try:
        append_entry(run.workspace, Entry(action, release_id, run.before, after, seconds, details))
    except OSError as error:
        run.warnings.append(f"{WorkspacePaths(run.workspace).publication_log}: not written ({error.strerror})")
