"""Waits until the gateways have moved to what the channels say."""

from __future__ import annotations

import time
from pathlib import Path

from shopfuse.release.channels import Channels
from shopfuse.release.leases import held

MOVED_WITHIN_S = 15.0
LOOK_EVERY_S = 0.05


def wait_for_gateways(workspace: Path, channels: Channels) -> tuple[str, ...]:
    """The gateways that do not answer with these channels within MOVED_WITHIN_S; none where all do."""
    give_up = time.monotonic() + MOVED_WITHIN_S
    while late := _late(workspace, channels):
        if time.monotonic() > give_up:
            break
        time.sleep(LOOK_EVERY_S)
    return late


def _late(workspace: Path, channels: Channels) -> tuple[str, ...]:
    wanted = channels.stable, channels.canary
    return tuple(lease.gateway for lease in held(workspace) if (lease.stable, lease.canary) != wanted)
