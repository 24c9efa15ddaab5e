"""One publisher per workspace: a file lock that the operating system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError

LOOK_EVERY_S = 0.05


@contextmanager
def publisher_lock(workspace: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Holds the workspace for publishing; PublishError with the other's pid where it is not free within `wait_s`."""
    path = WorkspacePaths(workspace).publisher_lock
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as handle:
        give_up = time.monotonic() + wait_s
        while not _taken(handle):
            if time.monotonic() >= give_up:
                handle.seek(0)
                raise PublishError(
                    f"{path}: process {handle.read().strip() or '(unknown)'} is publishing in this workspace; "
                    "try again when it is done"
                )
            time.sleep(LOOK_EVERY_S)
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _taken(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
