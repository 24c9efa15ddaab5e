"""`python -m tests.loadtest.busy_server MS`: answers calls after MS ms of processor time each; prints its port."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

METHOD = "/busy.Busy/Work"


@contextmanager
def busy_server(cpu_ms: float) -> Iterator[tuple[str, int]]:
    """One in a process of its own: (address, process id)."""
    command = [sys.executable, "-m", "tests.loadtest.busy_server", str(cpu_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{int(process.stdout.readline())}", process.pid
        finally:
            process.kill()


def serve(cpu_ms: float) -> None:
    def work(request: bytes, context: grpc.ServicerContext) -> bytes:
        until = time.thread_time() + cpu_ms / 1e3
        while time.thread_time() < until:
            pass
        return request

    handlers = {"Work": grpc.unary_unary_rpc_method_handler(work)}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("busy.Busy", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    serve(float(sys.argv[1]))
