"""The releases of a workspace, as publishing takes them: there, genuine and whole."""

from __future__ import annotations

from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError
from shopfuse.release import verify
from shopfuse.release.ids import release_ids
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest


def release_root(workspace: Path, release_id: str) -> Path:
    """The folder of a release that exists."""
    paths = WorkspacePaths(workspace)
    names = release_ids(paths.releases)
    if release_id not in names:
        there = ", ".join(reversed(names)) or "none; run `shopfuse build`"
        raise PublishError(f"{paths.releases}: there is no release {release_id!r} (there are: {there})")
    return paths.release(release_id)


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
        return verify.read_manifest(WorkspacePaths(workspace).release(release_id))
    except ShopfuseError:
        return None
