"""Where publishing reads and writes, below a workspace."""

from __future__ import annotations

import re
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.publishing.errors import PublishError
from shopfuse.release import verify
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest

_RELEASE = re.compile(r"r([1-9][0-9]*)")


def releases_of(workspace: Path) -> Path:
    return workspace / "releases"


def repository_of(workspace: Path) -> Path:
    """What Triton serves from."""
    return workspace / "model_repository"


def release_names(workspace: Path) -> list[str]:
    """The folders that are named as releases, the latest first."""
    numbers = [int(match[1]) for path in releases_of(workspace).glob("r*") if (match := _RELEASE.fullmatch(path.name))]
    return [f"r{number}" for number in sorted(numbers, reverse=True)]


def release_root(workspace: Path, release_id: str) -> Path:
    """The folder of a release that exists."""
    names = release_names(workspace)
    if release_id not in names:
        there = ", ".join(reversed(names)) or "none; run `shopfuse build`"
        raise PublishError(f"{releases_of(workspace)}: there is no release {release_id!r} (there are: {there})")
    return releases_of(workspace) / release_id


def verified_manifest(workspace: Path, release_id: str, public_key: Path) -> Manifest:
    """Of a genuine and whole release, every file hashed."""
    root = release_root(workspace, release_id)
    return _of_folder(verify.verify_release(root, public_key), root)


def signed_manifest(workspace: Path, release_id: str, public_key: Path) -> Manifest:
    """Of a genuine release; its files are not looked at."""
    root = release_root(workspace, release_id)
    return _of_folder(verify.signed_manifest(root, public_key), root)


def _of_folder(manifest: Manifest, root: Path) -> Manifest:
    if manifest.release_id != root.name:
        raise PublishError(
            f"{ReleaseLayout(root).manifest}: this is release {manifest.release_id!r}, in the folder of another"
        )
    return manifest


def readable_manifest(workspace: Path, release_id: str) -> Manifest | None:
    """None where the folder has no manifest of this format."""
    try:
        return verify.read_manifest(releases_of(workspace) / release_id)
    except ShopfuseError:
        return None
