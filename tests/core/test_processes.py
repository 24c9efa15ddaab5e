"""A process is alive until it has ended, whoever it belongs to."""

from __future__ import annotations

import os
import subprocess
import sys

from shopfuse.core.processes import alive


def test_process_is_alive_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        while_it_runs = alive(process.pid)

    assert while_it_runs
    assert not alive(process.pid)
    assert alive(os.getpid())
    assert alive(1)
