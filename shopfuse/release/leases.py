"""Which gateways hold which releases: publishing waits until they have moved, pruning spares what they still use.

A gateway renews one small file, <host>-<pid>.json; one that was killed expires.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from shopfuse.core.atomic_files import write_text
from shopfuse.core.processes import alive
from shopfuse.core.workspace_paths import WorkspacePaths

RENEW_S = 5.0
EXPIRED_S = 30.0


@dataclass(frozen=True, slots=True)
class Lease:
    gateway: str  # host-pid
    stable: str  # what it answers with; "" before the first release
    canary: str
    holds: tuple[str, ...]  # every release whose files it has open
    renewed_at: float  # seconds since the epoch


def renew(workspace: Path, stable: str, canary: str, holds: tuple[str, ...]) -> Path:
    """Writes this process's lease; call it at every change and every RENEW_S. Remove the file at a clean end."""
    lease = Lease(f"{socket.gethostname()}-{os.getpid()}", stable, canary, holds, time.time())
    path = WorkspacePaths(workspace).gateway_leases / f"{lease.gateway}.json"
    write_text(path, json.dumps(asdict(lease)), durable=False)
    return path


def held(workspace: Path) -> list[Lease]:
    """The leases of gateways that run; those of this host's dead processes and expired ones are left out."""
    leases = [
        lease for path in sorted(WorkspacePaths(workspace).gateway_leases.glob("*.json")) if (lease := _read(path))
    ]
    return [lease for lease in leases if time.time() - lease.renewed_at < EXPIRED_S and not _is_dead(lease.gateway)]


def _read(path: Path) -> Lease | None:
    """None where the gateway has just ended, or where the file is none of ours."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Lease(**{**raw, "holds": tuple(raw["holds"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_dead(gateway: str) -> bool:
    host, _, pid = gateway.rpartition("-")
    return host == socket.gethostname() and pid.isdecimal() and not alive(int(pid))
