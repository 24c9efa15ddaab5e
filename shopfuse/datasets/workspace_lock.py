"""One writer per workspace. Readers do not take the lock: they see either the old or the new files."""

from contextlib import AbstractContextManager
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.file_lock import file_lock
from shopfuse.core.workspace_paths import WorkspacePaths


class WorkspaceLockedError(ShopfuseError):
    """Another process is writing to the workspace."""


def workspace_lock(root: Path) -> AbstractContextManager[None]:
    """Hold the workspace for writing, or raise WorkspaceLockedError at once when another process holds it."""
    problem = "is writing to this workspace; try again when it is done"
    return file_lock(
        WorkspacePaths(root).lock,
        lambda holder: WorkspaceLockedError(f"{root}: another process (pid {holder}) {problem}"),
    )
