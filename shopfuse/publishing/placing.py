"""Places a release's models in the Triton repository: copied, checked, flushed to disk and renamed, one folder at once.

Files are copied although a hard link would cost nothing: a link would let whoever edits a file in the repository edit
the signed release too, and with it the only good copy. A copy is hashed as it is written, so a model of 100 MB is read
once. Staging lies inside the repository, hidden, because only there a rename is sure to stay in one file system (in a
cluster the repository is a volume of its own); Triton loads by name and never looks at it.

A name (of a plain model's configuration, of a version, of an ensemble) means one content for ever: what is there
already is compared, never overwritten, unless the caller asks for a repair.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shopfuse.core.atomic_files import sync
from shopfuse.publishing.errors import PublishError
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest
from shopfuse.release.verify import file_problem

STAGING = ".staging"
CHUNK = 1 << 20
Report = Callable[[int, int], None]  # (folders looked at, of how many)


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """One model of a release as the repository must hold it: `files` by their path from its folder -> sha256."""

    name: str
    version: str
    source: Path
    files: Mapping[str, str]

    def of_version(self) -> dict[str, str]:
        return {path: sha for path, sha in self.files.items() if path.startswith(f"{self.version}/")}

    def shared(self) -> dict[str, str]:
        """Its configuration and warm-up data, the same for all versions."""
        return {path: sha for path, sha in self.files.items() if not path.startswith(f"{self.version}/")}


def model_folders(root: Path, manifest: Manifest) -> list[ModelFolder]:
    """The plain models, then the ensembles: what pins a version comes after it."""
    plain = [(model.model, str(model.version)) for model in manifest.models.values()]
    named = sorted(plain) + [(name, "1") for name in sorted(manifest.ensembles.values())]
    return [_model_folder(root, manifest, name, version) for name, version in named]


def _model_folder(root: Path, manifest: Manifest, name: str, version: str) -> ModelFolder:
    prefix = f"models/{name}/"
    files = {path.removeprefix(prefix): sha for path, sha in manifest.files.items() if path.startswith(prefix)}
    folder = ModelFolder(name, version, ReleaseLayout(root).models / name, files)
    if "config.pbtxt" not in files or not folder.of_version():
        raise PublishError(f"{folder.source}: the manifest lists no config.pbtxt or no file of version {version}")
    return folder


def place(root: Path, manifest: Manifest, repository: Path, report: Report, repair: bool = False) -> list[str]:
    """Makes the repository hold the release's models; gives the folders that are new in it, such as "text_encoder/2".

    Raises PublishError where something else has one of their names (with `repair` it is replaced), OSError with the
    path where it cannot be written. Both leave whole folders only; see removal.py.
    """
    folders = model_folders(root, manifest)
    placed: list[str] = []
    repository.mkdir(parents=True, exist_ok=True)
    for done, folder in enumerate(folders):
        report(done, len(folders))
        placed.extend(_place_model(folder, repository, repair))
    report(len(folders), len(folders))
    return placed


def repository_problems(root: Path, manifest: Manifest, repository: Path) -> list[str]:
    """What of the release's models is missing or damaged in the repository."""
    return [
        problem
        for folder in model_folders(root, manifest)
        for path, sha in folder.files.items()
        if (problem := file_problem(repository / folder.name / path, sha))
    ]


def _place_model(folder: ModelFolder, repository: Path, repair: bool) -> Iterator[str]:
    target = repository / folder.name
    if not target.exists():
        _put(folder.source, target, folder.files, repository)
        yield folder.name
        return
    _settle(folder, repository, folder.shared(), repair)
    if (target / folder.version).exists():
        _settle(folder, repository, folder.of_version(), repair)
        return
    files = {path.removeprefix(f"{folder.version}/"): sha for path, sha in folder.of_version().items()}
    _put(folder.source / folder.version, target / folder.version, files, repository)
    yield f"{folder.name}/{folder.version}"


def _settle(folder: ModelFolder, repository: Path, files: Mapping[str, str], repair: bool) -> None:
    """These files are in the repository as the release has them, or are put so, or PublishError."""
    for path, sha in files.items():
        target = repository / folder.name / path
        problem = file_problem(target, sha)
        if problem and not repair:
            raise PublishError(
                f"{problem}, and a name in the model repository means one content: build the release again, or remove "
                f"{target.parent} if no release in a channel uses it"
            )
        if problem:
            target.parent.mkdir(exist_ok=True)
            _put(folder.source / path, target, {"": sha}, repository)


def _put(source: Path, target: Path, files: Mapping[str, str], repository: Path) -> None:
    """`target` appears whole: a folder with these files, or one file (whose path from `source` is "")."""
    staging = repository / STAGING
    staged = staging / target.name
    shutil.rmtree(staging, ignore_errors=True)
    try:
        for path, sha in files.items():
            _copy(source / path, staged / path, sha)
        for made in sorted(path for path in staging.rglob("*") if path.is_dir()):
            sync(made)
        staged.replace(target)
        sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _copy(source: Path, target: Path, sha: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb", buffering=0) as writing:
        while chunk := reading.read(CHUNK):
            digest.update(chunk)
            _write(writing.fileno(), chunk, target)
    sync(target)
    if digest.hexdigest() != sha:
        raise PublishError(f"{source}: sha256 {digest.hexdigest()[:12]}, released with {sha[:12]}")


def _write(descriptor: int, content: bytes, target: Path) -> None:
    """All of it; the operating system's error gets the path, which it does not know."""
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
