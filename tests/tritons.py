"""Triton as tests run it: on a repository of their own, and stopped without waiting for requests in flight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.triton.command import TritonSettings
from shopfuse.triton.local_triton import LocalTriton

QUICK = TritonSettings(stop_timeout_s=0)
ANSWER_TIMEOUT_S = 10.0


def is_ready(address: str, name: str, version: str = "") -> bool:
    """Whether the Triton at HOST:PORT says that a version (none named: any) answers inferences."""
    with grpc.insecure_channel(address) as channel:
        request = service_pb2.ModelReadyRequest(name=name, version=version)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            return bool(stub.ModelReady(request, timeout=ANSWER_TIMEOUT_S).ready)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return False
            raise


@contextmanager
def empty_triton(folder: Path, settings: TritonSettings = QUICK) -> Iterator[LocalTriton]:
    """Without a model: those that tests put into its repository, they load."""
    repository = folder / "model_repository"
    repository.mkdir()
    with LocalTriton(repository, folder / "triton.log", settings) as running:
        yield running
