"""From a workspace into a store: what the store lacks of a release, then its manifest, its signature at the very end.

Files are named by their content: releases share them, and a push that was cut short goes on where it stopped. Until
the signature is there, nobody can pull the release.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.folders import release_root, verified_manifest
from shopfuse.release.channels import read_channels
from shopfuse.release.ids import release_ids
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest
from shopfuse.release_store.pointers import Pointers, move_pointers
from shopfuse.release_store.pull import MANIFEST_AT_MOST, signature_of
from shopfuse.release_store.store import NotInStore, ReleaseStore, StoreError

AT_ONCE = 4  # files
MB = 1 << 20


@dataclass(frozen=True, slots=True)
class PushedRelease:
    release_id: str
    uploaded: int  # files
    uploaded_bytes: int
    held: int  # files that the store had already


@dataclass(frozen=True, slots=True)
class Pushed:
    releases: tuple[PushedRelease, ...]
    pointers: Pointers | None  # None where only releases were pushed


def push_releases(
    workspace: Path, store: ReleaseStore, names: Sequence[str], *, public_key: Path, progress: Progress = silent
) -> Pushed:
    """Raises ReleaseError where one is not genuine and whole, StoreError where the store has another of its name."""
    done = tuple(_push(workspace, store, name, public_key, progress) for name in names)
    return Pushed(done, None)


def push_channels(
    workspace: Path, store: ReleaseStore, *, public_key: Path, force: bool = False, progress: Progress = silent
) -> Pushed:
    """What the workspace's channels name, then the channels themselves. Raises PointersMoved; see move_pointers."""
    channels = read_channels(workspace)
    if not channels.stable:
        raise StoreError(f"{workspace}: nothing is published here; run `shopfuse release publish`, or name a release")
    here = release_ids(WorkspacePaths(workspace).releases)
    names = [name for name in channels.in_use if name in here or not _is_in(store, name)]
    pushed = push_releases(workspace, store, names, public_key=public_key, progress=progress)
    return Pushed(pushed.releases, move_pointers(workspace, store, channels, force))


def _is_in(store: ReleaseStore, release_id: str) -> bool:
    try:
        signature_of(store, release_id)
    except NotInStore:
        return False
    return True


def _push(workspace: Path, store: ReleaseStore, name: str, public_key: Path, progress: Progress) -> PushedRelease:
    progress(f"verify {name}", 0, 1)
    manifest = verified_manifest(workspace, name, public_key)
    progress(f"verify {name}", 1, 1)
    root = release_root(workspace, name)
    wanted = _distinct(root, manifest)
    held = store.sizes()
    missing = {sha: path for sha, path in wanted.items() if held.get(sha) != path.stat().st_size}
    _upload(store, name, missing, progress)
    layout = ReleaseLayout(root)
    for path in (layout.manifest, layout.signature):
        content = path.read_bytes()
        if len(content) > MANIFEST_AT_MOST:
            raise StoreError(f"{path}: {len(content)} bytes, expected at most {MANIFEST_AT_MOST}")
        if not store.create(f"releases/{name}/{path.name}", content):
            raise StoreError(
                f"{store.url}/releases/{name}: another release of this name is there: a name means one content for "
                "ever. Build this one again under the next number"
            )
    size = sum(path.stat().st_size for path in missing.values())
    return PushedRelease(name, len(missing), size, len(wanted) - len(missing))


def _distinct(root: Path, manifest: Manifest) -> dict[str, Path]:
    """sha256 -> a file with it."""
    return {sha: root / path for path, sha in manifest.files.items()}


def _upload(store: ReleaseStore, name: str, missing: dict[str, Path], progress: Progress) -> None:
    sizes = {sha: path.stat().st_size for sha, path in missing.items()}
    stage, total, done = f"push {name}, MB", sum(sizes.values()), 0
    with ThreadPoolExecutor(AT_ONCE, "push") as threads:
        uploads = {threads.submit(store.upload, path, sha): sizes[sha] for sha, path in missing.items()}
        try:
            for upload in as_completed(uploads):
                upload.result()
                done += uploads[upload]
                progress(stage, done // MB, -(-total // MB))
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
