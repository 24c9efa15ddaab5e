"""One writer per workspace: a file lock that the operating system drops when its holder dies.

Readers do not take it: they see either the old or the new files.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths


class WorkspaceLockedError(ShopfuseError):
    """Another process is writing to the workspace."""


@contextmanager
def workspace_lock(root: Path) -> Iterator[None]:
    """Hold the workspace for writing, or raise WorkspaceLockedError at once when another process holds it."""
    path = WorkspacePaths(root).lock
    with path.open("a+", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise WorkspaceLockedError(
                f"{root}: another process (pid {holder}) is writing to this workspace; try again when it is done"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
