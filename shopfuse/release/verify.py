"""Checks that a release is genuine and whole: its manifest is signed, every file has the bytes it was released with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError, parse_manifest
from shopfuse.release.signature import signed_bytes


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """The sha256 of every file below `folder`, by its path from there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_file(path) for path in files}


def read_manifest(root: Path) -> Manifest:
    """Raises ReleaseError where the release folder has no readable manifest. The signature is not checked."""
    path = ReleaseLayout(root).manifest
    try:
        return _parsed(path.read_bytes(), path)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from error


def signed_manifest(root: Path, public_key: Path) -> Manifest:
    """The manifest that was signed with this key; raises ReleaseError. The files are not looked at."""
    return _parsed(signed_bytes(root, public_key), ReleaseLayout(root).manifest)


def _parsed(content: bytes, path: Path) -> Manifest:
    try:
        return parse_manifest(content.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ReleaseError(f"{path}: not UTF-8 ({error})") from error


def file_problem(path: Path, expected: str) -> str | None:
    """What is wrong with a file that should have this sha256; None where nothing is."""
    if not path.is_file():
        return f"{path}: missing"
    actual = sha256_file(path)
    return None if actual == expected else f"{path}: sha256 {actual[:12]}, released with {expected[:12]}"


def file_problems(root: Path, manifest: Manifest) -> list[str]:
    """What is missing or changed among the files of a release, one line each."""
    return [problem for name, sha in manifest.files.items() if (problem := file_problem(root / name, sha))]


def release_problems(root: Path, public_key: Path) -> list[str]:
    """What is missing, changed or not signed, one line each; nothing where the release is genuine and whole."""
    try:
        return file_problems(root, signed_manifest(root, public_key))
    except ReleaseError as error:
        return [str(error)]


def verify_release(root: Path, public_key: Path) -> Manifest:
    """The manifest of a genuine and whole release; raises ReleaseError listing the first problems otherwise."""
    manifest = signed_manifest(root, public_key)
    if problems := file_problems(root, manifest):
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise ReleaseError(f"release {root.name} cannot be used: {'; '.join(problems[:3])}{more}")
    return manifest
