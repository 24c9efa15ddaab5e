"""`python -m tests.loadtest.busy_server MS`: answers calls after MS ms of processor time each; prints its port."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

METHOD = "/busy.Busy/Work"


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
