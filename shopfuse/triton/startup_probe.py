"""A model so small that its right answer is known: Triton is trusted only after it has added two numbers to themselves.

It finds what no health check shows: a Python backend that runs, reports ready, and returns empty or wrong tensors.
"""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from shopfuse.triton.errors import TritonStartError
from shopfuse.triton.model_control import reason_of
from shopfuse.triton.model_infer import request_of

NAME = "shopfuse_startup_probe"
CONFIG = f"""
name: "{NAME}" backend: "onnxruntime" max_batch_size: 0 instance_group [ {{ count: 1 kind: KIND_CPU }} ]
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ 2 ] }} ] output [ {{ name: "y" data_type: TYPE_FP32 dims: [ 2 ] }} ]
"""
# The ONNX file of y = x + x, opset 17. tests/triton/test_startup_probe.py builds it again and compares.
MODEL = bytes.fromhex(
    "08083a390a0e0a01780a01781201792203416464120570726f62655a0f0a017812"
    "0a0a08080112040a020802620f0a0179120a0a08080112040a02080242040a001011"
)
NUMBERS = np.array([1.25, -3.0], np.float32)


def write_probe(repository: Path) -> None:
    """Puts the probe into a model repository."""
    version = repository / NAME / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    (version / "model.onnx").write_bytes(MODEL)


def check_probe(stub: Any, timeout_s: float) -> None:
    """Loads the probe, asks it, and lets it go without waiting; raises TritonStartError unless the answer is exact."""
    try:
        stub.RepositoryModelLoad(service_pb2.RepositoryModelLoadRequest(model_name=NAME), timeout=timeout_s)
        answer = stub.ModelInfer(request_of(NAME, "", {"x": NUMBERS}), timeout=timeout_s)
        stub.RepositoryModelUnload(service_pb2.RepositoryModelUnloadRequest(model_name=NAME), timeout=timeout_s)
    except grpc.RpcError as error:
        raise TritonStartError(f"Triton's start-up check failed: {reason_of(error)}") from error
    got = np.frombuffer(b"".join(answer.raw_output_contents), np.float32)
    if not np.array_equal(got, NUMBERS + NUMBERS):
        raise TritonStartError(
            f"Triton's start-up check: expected {NUMBERS + NUMBERS}, got {got}; are its NumPy and ours the same?"
        )
