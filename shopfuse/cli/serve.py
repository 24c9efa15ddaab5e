"""`shopfuse serve`: answers requests until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Annotated

import typer

from shopfuse.cli.console import out, progress_bars
from shopfuse.cli.options import WorkspaceOption
from shopfuse.core.addresses import LOOPBACK
from shopfuse.local.stack import Stack, StackError, StackOptions, local_stack

TritonOption = Annotated[
    str, typer.Option(help="HOST:PORT of a Triton with this workspace's model repository; default: start one here.")
]
HostOption = Annotated[
    str, typer.Option(help="Address or name that the gateway listens on; 0.0.0.0 or :: for all. Default: this machine.")
]
GrpcPortOption = Annotated[int, typer.Option(min=0, max=65535, help="Port of the gateway; 0 takes a free one.")]
MetricsPortOption = Annotated[int, typer.Option(min=0, max=65535, help="Port of Prometheus' /metrics; 0: a free one.")]
TritonTracesOption = Annotated[
    str,
    typer.Option(
        metavar="URL", help="Where a Triton started here sends its spans: OTLP over HTTP, http://HOST:4318/v1/traces."
    ),
]
WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="Gateway processes that share the port.")]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def wait_for_end(stack: Stack) -> None:
    """Prints where the shop answers and returns on Ctrl-C or SIGTERM; raises StackError where the gateway dies."""
    signal.signal(signal.SIGTERM, _interrupt)
    ends = stack.endpoints
    out.print(f"gateway (gRPC)  {ends.grpc}\nmetrics         http://{ends.metrics}/metrics", soft_wrap=True)
    out.print(f"Triton          {ends.triton_grpc}\nStop with Ctrl-C.", soft_wrap=True)
    try:
        stack.supervise()
    except KeyboardInterrupt:
        return
    raise StackError(f"the gateway ended with code {stack.gateway.returncode}; see run/gateway.log in the workspace")


def serve(
    workspace: WorkspaceOption,
    triton: TritonOption = "",
    host: HostOption = LOOPBACK,
    grpc_port: GrpcPortOption = 0,
    metrics_port: MetricsPortOption = 0,
    workers: WorkersOption = 1,
    triton_traces: TritonTracesOption = "",
) -> None:
    """Serve the released shop: a local Triton and the gateway, until Ctrl-C.

    The addresses go to WORKSPACE/run/endpoints.json once it answers.
    """
    options = StackOptions(host, grpc_port, metrics_port, triton, workers, triton_traces=triton_traces)
    with progress_bars() as progress, local_stack(workspace, options, progress) as stack:
        wait_for_end(stack)
