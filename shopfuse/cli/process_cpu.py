"""What a process has computed so far, from /proc; nothing about its memory, and nothing where there is no /proc."""

from __future__ import annotations

import os
from pathlib import Path

USER_TICKS, SYSTEM_TICKS = 11, 12  # fields of /proc/PID/stat after the process's name, see proc(5)


def cpu_seconds(pid: int) -> float | None:
    """Processor time of all threads of a running process; None on systems without /proc."""
    path = Path("/proc", str(pid), "stat")
    if not path.exists():
        return None
    fields = path.read_text().rpartition(")")[2].split()  # the name may hold spaces and brackets
    return (int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")
