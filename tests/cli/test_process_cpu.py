"""The processor time of a process, where there is a /proc."""

from __future__ import annotations

import os
import sys
import time

import pytest

from shopfuse.cli.process_cpu import cpu_seconds

NOBODY = 2**22 + 1  # above the largest process id


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_time_grows_by_what_the_process_computes() -> None:
    before, started = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() < started + 0.1:
        pass
    after = cpu_seconds(os.getpid())

    assert before is not None and after is not None
    assert after - before == pytest.approx(0.1, abs=0.06)


def test_no_process_has_no_time() -> None:
    assert cpu_seconds(NOBODY) is None
