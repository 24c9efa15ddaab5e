"""Which release answers whom: the pointer that publishing flips and every gateway follows.

One small JSON file beside the releases, replaced by rename: a reader sees the old or the new one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import write_text
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.release.manifest import ReleaseError


@dataclass(frozen=True, slots=True)
class Channels:
    """Release ids; "" where there is none."""

    stable: str = ""
    canary: str = ""
    canary_share: float = 0.0  # of the users, 0 to 1
    previous: str = ""  # what was stable before: where a rollback goes

    @property
    def in_use(self) -> tuple[str, ...]:
        """Every release that a gateway may need now or after a rollback, the stable one first."""
        return tuple(dict.fromkeys(name for name in (self.stable, self.canary, self.previous) if name))

    def of(self, user: str) -> str:
        """The release that answers a user (a session, where nobody is signed in): always the same one of the two."""
        return self.canary if self.canary and share_of(user, self.canary) < self.canary_share else self.stable

    def published(self, release_id: str) -> Channels:
        """`release_id` for everybody. A canary that is running ends."""
        previous = self.previous if release_id == self.stable else self.stable
        return Channels(stable=release_id, previous="" if previous == release_id else previous)

    def with_canary(self, release_id: str, share: float) -> Channels:
        return replace(self, canary=release_id, canary_share=share)

    def without_canary(self) -> Channels:
        return replace(self, canary="", canary_share=0.0)

    def rolled_back(self) -> Channels:
        """The release before for everybody; what was stable becomes the one to go back to."""
        return Channels(stable=self.previous, previous=self.stable)


def share_of(user: str, release_id: str) -> float:
    """Where in [0, 1) a user stands for a release: uniform over users, and drawn anew for every release."""
    digest = hashlib.blake2b(f"{release_id}\0{user}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / (1 << 64)


def read_channels(workspace: Path) -> Channels:
    """Nothing in any channel where nothing was published. Raises ReleaseError where the file is damaged."""
    path = WorkspacePaths(workspace).channels
    try:
        return parse_channels(json.loads(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError:
        return Channels()
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ReleaseError(f"{path}: not JSON ({error})") from error


def parse_channels(raw: Any, path: str) -> Channels:
    """Of their JSON form. Raises ReleaseError naming `path`."""
    try:
        channels = Channels(**raw)
    except TypeError as error:
        raise ReleaseError(f"{path}: not the channels of releases ({error})") from error
    names = (channels.stable, channels.canary, channels.previous)
    if not all(isinstance(name, str) and "/" not in name for name in names):
        raise ReleaseError(f"{path}: expected release ids, found {names}")
    if not (isinstance(channels.canary_share, int | float) and 0 <= channels.canary_share <= 1):
        raise ReleaseError(f"{path}: canary_share: expected 0 to 1, found {channels.canary_share!r}")
    return channels


def write_channels(workspace: Path, channels: Channels) -> None:
    """Flips the pointer: a crash leaves the old one or the new one."""
    write_text(WorkspacePaths(workspace).channels, json.dumps(asdict(channels), indent=2, sort_keys=True))
