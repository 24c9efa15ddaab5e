"""Files that are either the old ones or the new ones, whatever happens in between, and on disk when it is over.

`atomic_file` replaces one file, `atomic_folder` a whole folder. `staged_files` replaces several files of one folder
together: a crash before the commit leaves the old files, a crash during the commit is finished by `finish_commit`
before the next one. It does not lock: any number of processes may replace one file or folder at once, the last one
wins; files of one folder are staged by one writer at a time.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shopfuse.core.processes import alive

_STAGING = ".staging"
_EARLIER = ".earlier"
_COMMIT = ".commit"


@contextmanager
def atomic_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """Gives a hidden path beside `path` to write to; on a clean exit what is there takes the name `path`.

    Not `durable`: without waiting for the disk, for a small file that means nothing after a restart of the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # of this writer alone, on any machine
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some libraries replace the file by one for its owner's eyes only
        if durable:
            sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync(path.parent)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Writes a small UTF-8 file whole."""
    with atomic_file(path, durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, contents: bytes) -> None:
    """Writes a small file whole."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(contents)


def append_line(path: Path, line: bytes) -> None:
    """On disk when it returns. A line that a crash cut short stays a line of its own."""
    with path.open("a+b") as file:
        if file.tell() and not _ends_a_line(file.fileno(), file.tell()):
            line = b"\n" + line
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(descriptor: int, size: int) -> bool:
    return os.pread(descriptor, 1, size - 1) == b"\n"


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Gives an empty folder beside `target`; on a clean exit its files are on disk and it takes the name `target`.

    A folder of that name moves aside first; where a crash comes between the two, the next attempt begins by moving it
    back. What else a crash leaves behind is hidden, and removed by the next attempt. Of several processes of this
    machine that write one folder at once, the last one wins.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in _left_behind(target, _EARLIER):
        _put_back(left, target)
    for left in _left_behind(target, _STAGING):
        shutil.rmtree(left, ignore_errors=True)
    staged, earlier = (target.with_name(f"{name}-{target.name}.{os.getpid()}") for name in (_STAGING, _EARLIER))
    staged.mkdir()
    try:
        yield staged
        sync_tree(staged)
        _take_name(staged, target, earlier)
        sync(target.parent)
    finally:
        _put_back(earlier, target)
        shutil.rmtree(staged, ignore_errors=True)


def _left_behind(target: Path, name: str) -> list[Path]:
    """Of writers that are no more, and of this process."""
    stem = f"{name}-{target.name}"
    left = [path for path in target.parent.glob(f"{glob.escape(stem)}.*") if path.stem == stem]  # not those of r1.old
    pids = {path: path.suffix[1:] for path in left}
    return [path for path, pid in pids.items() if pid.isdecimal() and (int(pid) == os.getpid() or not alive(int(pid)))]


def _take_name(staged: Path, target: Path, earlier: Path) -> None:
    while True:
        if target.exists():
            shutil.rmtree(earlier, ignore_errors=True)
            target.rename(earlier)
        try:
            staged.rename(target)
            return
        except OSError:
            if not target.exists():  # otherwise another writer took the name in between
                raise


def _put_back(earlier: Path, target: Path) -> None:
    """Under its name again where nothing took it, else gone."""
    if earlier.exists() and not target.exists():
        earlier.rename(target)
    shutil.rmtree(earlier, ignore_errors=True)


@contextmanager
def staged_files(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; on a clean exit every file in it takes its place in `folder`, all or none.

    An exception (or a crash) before the end leaves `folder` as it was: the rename of the staging folder is the commit.
    """
    finish_commit(folder)
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        sync_tree(staging)
        staging.rename(folder / _COMMIT)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    finish_commit(folder)


def has_commit(folder: Path) -> bool:
    """Whether a commit of this folder is under way, or was cut short."""
    return (folder / _COMMIT).is_dir()


def finish_commit(folder: Path) -> None:
    """Moves the files of a commit that was cut short into place; nothing to do in the ordinary case."""
    commit = folder / _COMMIT
    if not has_commit(folder):
        return
    for path in sorted(commit.iterdir()):
        path.replace(folder / path.name)
    commit.rmdir()
    sync(folder)


def sync_tree(folder: Path) -> None:
    """Flushes every file and folder below `folder`, and itself, to disk."""
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Flushes a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
