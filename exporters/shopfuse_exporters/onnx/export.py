"""One torch module to one ONNX file whose tensors are exactly the declared ones.

The same weights give the same bytes, so that an unchanged model keeps its version: source locations and module names,
which the exporter leaves in the graph, are removed. Numbers are compared elsewhere: see parity.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from shopfuse.ranking.tensors import DataType, Submodel, Tensor
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.onnx.sample_inputs import random_inputs

ONNX_TYPE: dict[DataType, int] = {
    "FP32": onnx.TensorProto.FLOAT,
    "FP16": onnx.TensorProto.FLOAT16,
    "INT64": onnx.TensorProto.INT64,
    "UINT8": onnx.TensorProto.UINT8,
}
LARGEST_FILE = (1 << 31) - 1  # a protobuf message ends at 2 GiB
EXAMPLE_BATCH = 2  # torch.export takes 0 and 1 for constants
EXAMPLE_SIZE = 11  # of a dynamic axis: a size that no fixed dimension has


def export_submodel(declaration: Submodel, module: nn.Module, path: Path) -> Path:
    """Writes `module`, whose forward takes and gives the tensors in the order of the declaration, to `path`.

    Raises ExportError where torch cannot trace it with dynamic axes or where a name, type or axis differs.
    """
    model = _traced(declaration, module)
    _strip(model)
    problems = tensor_problems(declaration, model)
    if problems:
        raise ExportError(f"{declaration.name}: the exported graph is not as declared: {'; '.join(problems)}")
    if model.ByteSize() > LARGEST_FILE:
        raise ExportError(f"{declaration.name}: {model.ByteSize()} bytes; an ONNX file holds at most 2 GiB of weights")
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def _traced(declaration: Submodel, module: nn.Module) -> onnx.ModelProto:
    sizes = dict.fromkeys(declaration.buckets, EXAMPLE_SIZE)
    arrays = random_inputs(declaration, EXAMPLE_BATCH, sizes, np.random.default_rng(0))
    example = tuple(torch.from_numpy(arrays[tensor.name]) for tensor in declaration.inputs)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                example,
                dynamo=True,
                input_names=[tensor.name for tensor in declaration.inputs],
                output_names=[tensor.name for tensor in declaration.outputs],
                dynamic_shapes=_dynamic_shapes(declaration),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # torch.export raises a dozen unrelated classes
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(f"{declaration.name}: torch cannot export it: {reason}") from error
    assert program is not None  # with dynamo=True it is never None
    return program.model_proto


def _dynamic_shapes(declaration: Submodel) -> tuple[dict[int, Any], ...]:
    """For each input its dynamic axes, bounded by what callers may send: positions of a text model end somewhere."""
    batch = torch.export.Dim("batch", min=1, max=declaration.max_batch)
    named = {name: torch.export.Dim(name, min=1, max=sizes[-1]) for name, sizes in declaration.buckets.items()}
    return tuple(
        {0: batch} | {axis: named[dim] for axis, dim in enumerate(tensor.dims, 1) if isinstance(dim, str)}
        for tensor in declaration.inputs
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings; they speak of torch's own code and of libraries that are not needed here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(model: onnx.ModelProto) -> None:
    """Removes what depends on where and how the exporter ran."""
    graph = model.graph
    parts: list[Any] = [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info]
    for function in model.functions:
        parts += [function, *function.node, *function.value_info]
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""


def tensor_problems(declaration: Submodel, model: onnx.ModelProto) -> list[str]:
    """How the graph's tensors differ from the declared ones, one line each."""
    return _differences("input", declaration.inputs, model.graph.input) + _differences(
        "output", declaration.outputs, model.graph.output
    )


def _differences(kind: str, declared: Sequence[Tensor], values: Sequence[Any]) -> list[str]:
    names, value_names = [tensor.name for tensor in declared], [value.name for value in values]
    if names != value_names:
        return [f"expected {kind}s {names}, found {value_names}"]
    return [
        f"{kind} '{tensor.name}': expected {expected}, found {actual}"
        for tensor, value in zip(declared, values, strict=True)
        if (expected := (ONNX_TYPE[tensor.dtype], ["batch", *tensor.dims])) != (actual := _type_and_dims(value))
    ]


def _type_and_dims(value: Any) -> tuple[int, list[int | str]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
