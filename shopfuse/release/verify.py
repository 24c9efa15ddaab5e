"""Checks that a release is whole: every file of the manifest is there, with the bytes it was released with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError, parse_manifest

CHUNK = 1 << 20


def sha256_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_manifest(root: Path) -> Manifest:
    """Raises ReleaseError where the release folder has no readable manifest."""
    path = ReleaseLayout(root).manifest
    try:
        return parse_manifest(path.read_text(), str(path))
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from error


def _problem(path: Path, expected: str) -> str | None:
    if not path.is_file():
        return f"{path}: missing"
    found = sha256_file(path)
    return None if found == expected else f"{path}: sha256 {found[:12]}, released with {expected[:12]}"


def release_problems(root: Path, repository: Path) -> list[str]:
    """Everything that is missing or changed, one line each; empty where the release is whole."""
    manifest = read_manifest(root)
    expected = {root / name: sha for name, sha in manifest.files.items()}
    expected |= {repository / name: sha for name, sha in manifest.ensemble_files.items()}
    for name, model in manifest.models.items():
        expected |= {repository / name / file: sha for file, sha in model.files.items()}
    return [problem for path, sha in expected.items() if (problem := _problem(path, sha))]


def verify_release(root: Path, repository: Path) -> Manifest:
    """The manifest of a whole release; raises ReleaseError listing the first problems otherwise."""
    if problems := release_problems(root, repository):
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise ReleaseError(f"release {root.name} is damaged: {'; '.join(problems[:3])}{more}")
    return read_manifest(root)
