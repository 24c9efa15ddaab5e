"""Checks that a release is genuine and whole: its manifest is signed, every file has the bytes it was released with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError, parse_manifest
from shopfuse.release.signature import check_signature


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(root: Path) -> Manifest:
    """Raises ReleaseError where the release folder has no readable manifest. The signature is not checked."""
    path = ReleaseLayout(root).manifest
    try:
        return parse_manifest(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from error


def file_problem(path: Path, expected: str) -> str | None:
    """What is wrong with a file that should have this sha256; None where nothing is."""
    if not path.is_file():
        return f"{path}: missing"
    found = sha256_file(path)
    return None if found == expected else f"{path}: sha256 {found[:12]}, released with {expected[:12]}"


def release_problems(root: Path, public_key: Path) -> list[str]:
    """What is missing, changed or not signed, one line each; nothing where the release is genuine and whole."""
    try:
        check_signature(root, public_key)
        manifest = read_manifest(root)
    except ReleaseError as error:
        return [str(error)]
    return [problem for name, sha in manifest.files.items() if (problem := file_problem(root / name, sha))]


def verify_release(root: Path, public_key: Path) -> Manifest:
    """The manifest of a genuine and whole release; raises ReleaseError listing the first problems otherwise."""
    if problems := release_problems(root, public_key):
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise ReleaseError(f"release {root.name} cannot be used: {'; '.join(problems[:3])}{more}")
    return read_manifest(root)
