"""From a store into a workspace: into a hidden folder first, which takes the release's name when all of it is verified.

What is there already is not fetched again: in the hidden folder of a pull that was cut short, and in other releases of
the workspace. The signature is checked before a single file is fetched, so that nobody but who signs decides what is
written, where, and how much.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shopfuse.core.atomic_files import sync, sync_tree
from shopfuse.core.file_lock import file_lock
from shopfuse.core.progress import Progress, silent
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.folders import readable_manifest
from shopfuse.publishing.removal import remove_release
from shopfuse.release.ids import is_release_id, release_ids
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.release.verify import file_problems, sha256_file, signed_manifest
from shopfuse.release_store.store import OBJECTS, NotInStore, ReleaseStore, StoreError

PULLING = ".pull-"  # hidden folder of a release on its way
MANIFEST_AT_MOST = 32 << 20  # bytes
AT_ONCE = 4  # files
SPARE = 256 << 20  # bytes that stay free on the disk
LOCK_WITHIN_S = 5.0
SHA = re.compile(r"[0-9a-f]{64}")
MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Pulled:
    release_id: str
    fetched: int  # files
    fetched_bytes: int
    found: int  # files that were on this machine


def pull(
    workspace: Path, store: ReleaseStore, release_id: str, *, public_key: Path, progress: Progress = silent
) -> Pulled:
    """The release is whole in the workspace when this returns, and was not touched where it was so before.

    Raises SignatureError, ReleaseError or StoreError, and then it is not there, or as it was.
    """
    if not is_release_id(release_id):
        raise StoreError(f"{release_id!r}: expected a release id such as r7")
    releases = WorkspacePaths(workspace).releases
    releases.mkdir(parents=True, exist_ok=True)
    problem = f"{releases}: another process pulls into this workspace; try again when it is done"
    with file_lock(releases / ".pull.lock", lambda _: StoreError(problem), LOCK_WITHIN_S):
        staged = releases / f"{PULLING}{release_id}"
        try:
            return _pull(workspace, store, release_id, staged, public_key, progress)
        except OSError as error:
            text = f"{error.filename or staged}: {error.strerror or error}"
            raise ReleaseError(f"pull of {release_id} stopped, nothing changed: {text}; run it again") from error


def _pull(
    workspace: Path, store: ReleaseStore, release_id: str, staged: Path, public_key: Path, progress: Progress
) -> Pulled:
    manifest = _signed(store, release_id, staged, public_key)
    target = WorkspacePaths(workspace).release(release_id)
    if target.exists():
        same = ReleaseLayout(target).manifest.read_bytes() == ReleaseLayout(staged).manifest.read_bytes()
        if not same:
            shutil.rmtree(staged)
            raise ReleaseError(f"{target}: another release than {store.url}/releases/{release_id}; remove one of them")
        if not file_problems(target, manifest):
            shutil.rmtree(staged)
            return Pulled(release_id, 0, 0, len(manifest.files))
    missing = _find_here(workspace, manifest, staged)
    sizes = _sizes(store, release_id, manifest, missing)
    _check_room(staged, release_id, sum(sizes.values()))
    _fetch(store, release_id, staged, missing, sizes, progress)
    _link_the_same(manifest, staged)
    _remove_strangers(manifest, staged)
    sync_tree(staged)
    if target.exists():  # damaged: the store's takes its place
        remove_release(workspace, release_id)
    staged.rename(target)
    sync(target.parent)
    return Pulled(release_id, len(missing), sum(sizes.values()), len(manifest.files) - len(missing))


def signature_of(store: ReleaseStore, release_id: str) -> bytes:
    """Raises NotInStore where the release does not exist, or not yet."""
    try:
        return store.read(f"releases/{release_id}/manifest.sig", 4096)[0]
    except NotInStore as error:
        raise NotInStore(f"{store.url}: there is no release {release_id}, or its push is not finished") from error


def _signed(store: ReleaseStore, release_id: str, staged: Path, public_key: Path) -> Manifest:
    """The manifest, signed with this key, of paths that stay inside; it and its signature are in `staged`."""
    signature = signature_of(store, release_id)
    content, _ = store.read(f"releases/{release_id}/manifest.json", MANIFEST_AT_MOST)
    staged.mkdir(exist_ok=True)
    layout = ReleaseLayout(staged)
    layout.manifest.write_bytes(content)
    layout.signature.write_bytes(signature)
    try:
        manifest = signed_manifest(staged, public_key)
        if manifest.release_id != release_id:
            raise ReleaseError(f"{store.url}/releases/{release_id}: this is release {manifest.release_id!r}")
        for path, sha in manifest.files.items():
            _check_entry(store, release_id, path, sha)
    except ReleaseError:
        shutil.rmtree(staged)
        raise
    return manifest


def _check_entry(store: ReleaseStore, release_id: str, path: str, sha: str) -> None:
    where = f"{store.url}/releases/{release_id}/manifest.json"
    parts = PurePosixPath(path)
    reserved = {ReleaseLayout(Path()).manifest.name, ReleaseLayout(Path()).signature.name}
    if parts.is_absolute() or ".." in parts.parts or str(parts) != path or "\0" in path or path in reserved:
        raise ReleaseError(f"{where}: file {path!r} is not a path inside the release")
    if not SHA.fullmatch(sha):
        raise ReleaseError(f"{where}: file {path!r}: expected a sha256, found {sha!r}")


def _find_here(workspace: Path, manifest: Manifest, staged: Path) -> dict[str, str]:
    """Links what other releases of the workspace have into `staged`; gives what is to be fetched: sha256 -> path."""
    elsewhere = _files_of_others(workspace, manifest)
    missing: dict[str, str] = {}
    for path, sha in manifest.files.items():
        target, other = staged / path, elsewhere.get(sha)
        if target.is_file() and sha256_file(target) == sha:
            continue
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        if other and sha256_file(other) == sha:
            os.link(other, target)
        else:
            missing.setdefault(sha, path)
    return missing


def _files_of_others(workspace: Path, manifest: Manifest) -> dict[str, Path]:
    paths, found = WorkspacePaths(workspace), dict[str, Path]()
    for name in release_ids(paths.releases):
        other = readable_manifest(workspace, name)
        for path, sha in other.files.items() if other else ():
            if (file := paths.release(name) / path).is_file():
                found[sha] = file
    return {sha: found[sha] for sha in manifest.files.values() if sha in found}


def _sizes(store: ReleaseStore, release_id: str, manifest: Manifest, missing: dict[str, str]) -> dict[str, int]:
    """Of what is to be fetched, by its sha256."""
    held = store.sizes() if missing else {}
    if lacking := [path for sha, path in missing.items() if sha not in held]:
        raise NotInStore(
            f"{store.url}: release {release_id} lacks {len(lacking)} of its {len(manifest.files)} files, the first is "
            f"{lacking[0]}: push it again from where it was built"
        )
    return {sha: held[sha] for sha in missing}


def _check_room(staged: Path, release_id: str, needed: int) -> None:
    free = shutil.disk_usage(staged).free
    if needed + SPARE > free:
        raise ReleaseError(
            f"{staged.parent}: release {release_id} needs {needed // MB} MB and {SPARE // MB} MB to spare, the disk "
            f"has {free // MB} MB free: make room, for instance with `shopfuse release prune`"
        )


def _fetch(
    store: ReleaseStore,
    release_id: str,
    staged: Path,
    missing: dict[str, str],
    sizes: dict[str, int],
    progress: Progress,
) -> None:
    stage, total, done = f"pull {release_id}, MB", sum(sizes.values()), 0
    with ThreadPoolExecutor(AT_ONCE, "pull") as threads:
        fetches = {
            threads.submit(_fetch_file, store, release_id, staged, path, sha, sizes[sha]): sha
            for sha, path in missing.items()
        }
        try:
            for fetch in as_completed(fetches):
                fetch.result()
                done += sizes[fetches[fetch]]
                progress(stage, done // MB, -(-total // MB))
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def _fetch_file(store: ReleaseStore, release_id: str, staged: Path, path: str, sha: str, size: int) -> None:
    """Under its name only when its bytes are the right ones."""
    partial = _partial(staged, sha)
    digest = hashlib.sha256()
    try:
        with partial.open("wb") as file:
            for chunk in store.download(sha, size):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha:
            raise StoreError(
                f"{store.url}/{OBJECTS}/{sha}: {path} of {release_id} is cut short or changed in the store (sha256 "
                f"{digest.hexdigest()[:12]} of {size} bytes): remove this object and push the release again"
            )
        partial.replace(staged / path)
    finally:
        partial.unlink(missing_ok=True)


def _partial(staged: Path, sha: str) -> Path:
    return staged / f".part-{sha}"


def _link_the_same(manifest: Manifest, staged: Path) -> None:
    """A content that a release has under several names was fetched once."""
    there = {sha: path for path, sha in manifest.files.items() if (staged / path).is_file()}
    for path, sha in manifest.files.items():
        if not (staged / path).exists():
            os.link(staged / there[sha], staged / path)


def _remove_strangers(manifest: Manifest, staged: Path) -> None:
    """What an earlier pull of another release of this name left here."""
    layout = ReleaseLayout(staged)
    known = {layout.manifest, layout.signature, *(staged / path for path in manifest.files)}
    for path in staged.rglob("*"):
        if not path.is_dir() and path not in known:
            path.unlink()


def sweep_pulls(workspace: Path, keep: tuple[str, ...]) -> None:
    """Removes what is left of pulls of other releases than these."""
    for left in WorkspacePaths(workspace).releases.glob(f"{PULLING}r*"):
        if left.name.removeprefix(PULLING) not in keep:
            shutil.rmtree(left, ignore_errors=True)
