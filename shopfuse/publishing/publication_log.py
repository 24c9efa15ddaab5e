"""Who changed what is served, and when: one JSON object a line, only appended to."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopfuse.core.atomic_files import append_line
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.release.channels import Channels


def this_user() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Entry:
    action: str  # publish | canary | promote | rollback | prune
    release_id: str  # that the action was about; "" for a prune
    before: Channels
    after: Channels
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)
    who: str = field(default_factory=this_user)  # user@host
    at: str = field(default_factory=now)  # ISO 8601, UTC


def append_entry(workspace: Path, entry: Entry) -> None:
    """On disk when it returns. A line that a crash cut short stays a line of its own."""
    append_line(WorkspacePaths(workspace).publication_log, json.dumps(asdict(entry), sort_keys=True).encode())
