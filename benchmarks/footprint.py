"""What a served shop takes: memory of gateway, Triton and the commands that pods run beside them. k8s/ asks for it.

    python benchmarks/footprint.py WORKSPACE

Serves the workspace, searches for five seconds with eight clients, and prints of each process the proportional set size
(PSS: what is shared is shared out) and what is its own, and Triton's shared memory.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from shopfuse.loadtest.closed_loop import Load, run_load
from shopfuse.loadtest.requests import search_requests
from shopfuse.local.stack import StackOptions, local_stack
from shopfuse.triton.guard import SHARED_MEMORY

SECONDS, CLIENTS = 5.0, 8
METHOD = "/shopfuse.v1.SearchService/Search"
BESIDE = {
    "release-sync (python -m shopfuse.cli.release_store sync)": "import shopfuse.cli.release_store",
    "any command of shopfuse": "import shopfuse.cli.main",
}


def megabytes(processes: Iterable[psutil.Process]) -> str:
    used = [process.memory_full_info() for process in processes]
    return f"PSS {sum(each.pss for each in used) >> 20} MB, own {sum(each.uss for each in used) >> 20} MB"


def with_children(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def imported(code: str) -> str:
    """The memory of a process that has imported this."""
    code = f"{code}\nimport psutil\nused = psutil.Process().memory_full_info()\nprint(used.pss >> 20, used.uss >> 20)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pss, own = done.stdout.split()
    return f"PSS {pss} MB, own {own} MB"


def main(workspace: Path) -> None:
    with local_stack(workspace, StackOptions(log_impressions=False)) as stack:
        assert stack.triton is not None
        gateway = psutil.Process(stack.gateway.pid)
        began_s = sum(gateway.cpu_times()[:2])
        requests = tuple(request.SerializeToString() for request in search_requests(workspace))
        print(f"{len(requests)} requests; gateway before the load: {megabytes([gateway])}")
        result = run_load(Load(stack.endpoints.grpc, METHOD, requests, CLIENTS, SECONDS))
        cost_ms = (sum(gateway.cpu_times()[:2]) - began_s) / result.sent * 1e3
        print(f"after {result.sent} searches, {sum(result.errors.values())} failed:")
        print(f"gateway {megabytes([gateway])}, {cost_ms:.1f} ms of processor for each")
        print(f"Triton {megabytes(with_children(stack.triton.pid))}")
        regions = sum(path.stat().st_blocks * 512 for path in SHARED_MEMORY.glob("shopfuse-*") if path.is_file())
        print(f"Triton's shared memory: {regions >> 20} MB")
    for name, code in BESIDE.items():
        print(f"{name}: {imported(code)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
