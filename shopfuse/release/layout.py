"""Where the parts of a release lie, below WORKSPACE/releases/<release_id>/, and which release is served."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from shopfuse.release.manifest import ReleaseError


@dataclass(frozen=True, slots=True)
class ReleaseLayout:
    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def tokenizer(self) -> Path:
        return self.root / "tokenizer.json"

    @property
    def items(self) -> Path:
        """Folder of row-aligned item arrays (ids, vectors, filter columns)."""
        return self.root / "items"

    @property
    def indexes(self) -> Path:
        return self.root / "indexes"

    @property
    def lexical(self) -> Path:
        return self.indexes / "lexical"

    @property
    def semantic(self) -> Path:
        return self.indexes / "semantic.faiss"

    @property
    def behaviour(self) -> Path:
        return self.indexes / "behaviour.faiss"


def read_channels(releases: Path) -> dict[str, str]:
    """The release of each channel, e.g. {"stable": "r1"}; empty where nothing was released.

    Raises ReleaseError where channels.json is damaged.
    """
    path = releases / "channels.json"
    if not path.exists():
        return {}
    try:
        channels = json.loads(path.read_text())
    except ValueError as error:
        raise ReleaseError(f"{path}: not JSON ({error})") from error
    if not isinstance(channels, dict):
        raise ReleaseError(f"{path}: expected an object of channel -> release id")
    return {str(name): str(release) for name, release in channels.items()}


def write_channels(releases: Path, channels: dict[str, str]) -> None:
    """Flips the pointer atomically: a crash leaves the old or the new one."""
    staged = releases / f".channels.{os.getpid()}.json"
    with staged.open("w") as file:
        json.dump(channels, file, indent=2, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(releases / "channels.json")
