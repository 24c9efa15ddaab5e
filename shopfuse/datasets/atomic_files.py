"""Files that are either the old ones or the new ones, whatever happens in between.

`atomic_file` replaces one file. `staged_folder` replaces several files of one folder together: a crash before the
commit leaves the old files, a crash during the commit is finished by `finish_commit` before the next one.
It does not lock: see workspace_lock.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

_STAGING = ".staging"
_COMMIT = ".commit"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on a clean exit it is flushed to disk and takes the name `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Write a table atomically; the same rows give the same bytes."""
    with atomic_file(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", statistics=True, row_group_size=50_000)


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; on a clean exit every file in it takes its place in `folder`, all or none.

    An exception (or a crash) before the end leaves `folder` as it was: the rename of the staging folder is the commit.
    """
    finish_commit(folder)
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        for path in (*staging.iterdir(), staging):
            _sync(path)
        staging.rename(folder / _COMMIT)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    finish_commit(folder)


def has_commit(folder: Path) -> bool:
    """Whether a commit of this folder is under way, or was cut short."""
    return (folder / _COMMIT).is_dir()


def finish_commit(folder: Path) -> None:
    """Move the files of a commit that was cut short into place; nothing to do in the ordinary case."""
    commit = folder / _COMMIT
    if not has_commit(folder):
        return
    for path in sorted(commit.iterdir()):
        path.replace(folder / path.name)
    commit.rmdir()
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
