"""Folders and small files that are on disk whole, under their name, or not there at all.

What a crash leaves behind is a hidden folder beside the target, which the next attempt removes. One writer at a time:
see datasets.workspace_lock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shopfuse.release.durable import sync


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Gives an empty folder beside `target`; on a clean exit its files are on disk and it takes the name `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".staging-{target.name}")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        yield staged
        sync_tree(staged)
        if target.exists():
            shutil.rmtree(target)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    sync(target.parent)


def write_synced(path: Path, contents: bytes) -> None:
    """Writes a small file whole, unless it holds these bytes already."""
    if path.is_file() and path.read_bytes() == contents:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.staging")
    staged.write_bytes(contents)
    sync(staged)
    staged.replace(path)
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Flushes every file and folder below `folder`, and itself, to disk."""
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)
