"""One publisher per workspace."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from shopfuse.core.file_lock import file_lock
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError


def publisher_lock(workspace: Path, wait_s: float = 0.0) -> AbstractContextManager[None]:
    """Holds the workspace for publishing; PublishError with the other's pid where it is not free within `wait_s`."""
    path = WorkspacePaths(workspace).publisher_lock
    path.parent.mkdir(parents=True, exist_ok=True)
    problem = "is publishing in this workspace; try again when it is done"
    return file_lock(path, lambda holder: PublishError(f"{path}: process {holder} {problem}"), wait_s)
