"""Triton models of a few bytes, and the shortest way to ask them: what the tests of this folder are made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import onnx
import psutil
from google.protobuf import text_format
from numpy.typing import NDArray
from onnx import helper
from tritonclient.grpc import model_config_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype

from shopfuse.triton.model_infer import answer_of, request_of

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Tensor:
    """One input or output; `dims` without the batch axis."""

    name: str
    dtype: type[np.generic] = np.float32
    dims: tuple[int, ...] = (-1,)

    @property
    def onnx_type(self) -> int:
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype)))

    def value_info(self) -> onnx.ValueInfoProto:
        names = ["batch", *(size if size > 0 else f"axis{axis}" for axis, size in enumerate(self.dims))]
        return helper.make_tensor_value_info(self.name, self.onnx_type, names)


def add_model(
    repository: Path,
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    initializers: Sequence[onnx.TensorProto] = (),
    version: int = 1,
    options: str = "",
) -> None:
    """Writes config.pbtxt and <version>/model.onnx; `options` is config text that is merged over the defaults."""
    folder = repository / name / str(version)
    folder.mkdir(parents=True)
    sources, results = ([tensor.value_info() for tensor in tensors] for tensors in (inputs, outputs))
    graph = helper.make_graph(nodes, name, sources, results, list(initializers))
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    write_config(repository, plain_config(name, inputs, outputs), options)


def plain_config(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> model_config_pb2.ModelConfig:
    config = model_config_pb2.ModelConfig(name=name, backend="onnxruntime", max_batch_size=16)
    for tensors, field in ((inputs, config.input), (outputs, config.output)):
        for tensor in tensors:
            kind = f"TYPE_{np_to_triton_dtype(np.dtype(tensor.dtype))}"
            field.add(name=tensor.name, data_type=model_config_pb2.DataType.Value(kind), dims=tensor.dims)
    config.instance_group.add(count=1, kind=model_config_pb2.ModelInstanceGroup.KIND_CPU)
    return config


def write_config(repository: Path, config: model_config_pb2.ModelConfig, options: str = "") -> None:
    other = text_format.Parse(options, model_config_pb2.ModelConfig())
    if other.instance_group:
        config.ClearField("instance_group")
    config.MergeFrom(other)
    (repository / config.name / "1").mkdir(parents=True, exist_ok=True)
    (repository / config.name / "config.pbtxt").write_text(text_format.MessageToString(config))


def add_doubling(repository: Path, name: str, tensor: Tensor, version: int = 1, options: str = "") -> None:
    """y = x + x."""
    node = helper.make_node("Add", ["x", "x"], ["y"])
    result = Tensor("y", tensor.dtype, tensor.dims)
    add_model(repository, name, [node], [tensor], [result], version=version, options=options)


def add_scaling(repository: Path, name: str, factor: float, version: int = 1, options: str = "") -> None:
    """y = x * factor."""
    constant = helper.make_tensor("factor", onnx.TensorProto.FLOAT, [], [factor])
    node = helper.make_node("Mul", ["x", "factor"], ["y"])
    add_model(repository, name, [node], [Tensor("x")], [Tensor("y")], [constant], version, options)


def infer(
    stub: service_pb2_grpc.GRPCInferenceServiceStub, name: str, version: int | None = None, **inputs: Array
) -> dict[str, Array]:
    """The outputs by name."""
    return answer_of(stub.ModelInfer(request_of(name, str(version or ""), inputs), timeout=20))


def connect(address: str) -> service_pb2_grpc.GRPCInferenceServiceStub:
    """A raw gRPC stub."""
    return service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))


def processes_mentioning(text: str) -> set[int]:
    """The live processes that have this text in their command line, such as the model stubs of a repository."""
    commands = ((process.pid, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return {pid for pid, command in commands if any(text in part for part in command)} - {os.getpid()}
