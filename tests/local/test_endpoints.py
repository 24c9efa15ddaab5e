"""Where a served workspace answers: known to whoever has the workspace alone, and refused once its process is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shopfuse.local.endpoints import Endpoints, NotServed, gateway_address, triton_control, write_endpoints
from shopfuse.local.stack import served_workspace

ENDS = Endpoints("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", os.getpid())


def test_a_served_workspace_is_found_and_not_served_twice(tmp_path: Path) -> None:
    write_endpoints(tmp_path, ENDS)

    assert gateway_address(tmp_path, "") == ENDS.grpc
    assert gateway_address(tmp_path, "elsewhere:9") == "elsewhere:9"
    with served_workspace(tmp_path) as endpoints:
        assert endpoints == ENDS


def test_a_workspace_whose_process_is_gone_is_not_served(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_endpoints(tmp_path, replace(ENDS, pid=gone.pid))

    with pytest.raises(NotServed, match=f"process {gone.pid} is gone"):
        gateway_address(tmp_path, "")
    with triton_control(tmp_path) as control:
        assert control is None
