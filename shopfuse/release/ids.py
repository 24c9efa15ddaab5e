"""The ids of releases, which are the names of their folders: r1, r2 and so on. What else lies there is no release."""

from __future__ import annotations

import re
from pathlib import Path

_RELEASE = re.compile(r"r([1-9][0-9]*)")


def is_release_id(name: str) -> bool:
    return _RELEASE.fullmatch(name) is not None


def release_ids(releases: Path) -> list[str]:
    """Of a workspace's releases, the latest first."""
    return [f"r{number}" for number in sorted(_numbers(releases), reverse=True)]


def next_release_id(releases: Path) -> str:
    """One more than the highest number so far."""
    return f"r{1 + max(_numbers(releases), default=0)}"


def _numbers(releases: Path) -> list[int]:
    return [int(match[1]) for path in releases.glob("r*") if (match := _RELEASE.fullmatch(path.name))]
