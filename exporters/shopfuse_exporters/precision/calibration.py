"""Rows that a model is quantised and judged by: real ones from the shop, random ones for inputs that nobody gave.

A hundred rows are enough (measured on 67 queries: ranges from 32 rows and from all differ by less than 2 %).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader

from shopfuse.ranking.tensors import NUMPY_TYPE, Arrays, Submodel, Tensor
from shopfuse_exporters.errors import ExportError
from shopfuse_exporters.onnx.sample_inputs import random_inputs

ROWS = 128
ROWS_AT_ONCE = 8
QUERY_WORDS = 3
SEED = 5


def calibration_batches(declaration: Submodel, calibration: Arrays) -> list[Arrays]:
    """At most ROWS of the rows, spread over all of them, in batches; inputs that are not given are drawn at random.

    Raises ExportError where a tensor is unknown, has another shape than declared, or another number of rows.
    """
    rows = _row_count(declaration, calibration)
    axes = _axes(declaration, calibration)
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, ROWS)).astype(np.int64))
    inputs = random_inputs(declaration, len(chosen), axes, np.random.default_rng(SEED))
    for tensor in declaration.inputs:
        if tensor.name in calibration:
            inputs[tensor.name] = calibration[tensor.name][chosen].astype(NUMPY_TYPE[tensor.dtype])
    step = min(ROWS_AT_ONCE, declaration.max_batch)
    return [
        {name: values[start : start + step] for name, values in inputs.items()} for start in range(0, len(chosen), step)
    ]


def title_queries(titles: Sequence[str]) -> list[str]:
    """The first words of titles: what queries look like where nobody searched yet."""
    return [" ".join(title.split()[:QUERY_WORDS]) for title in titles]


def _row_count(declaration: Submodel, calibration: Arrays) -> int:
    unknown = calibration.keys() - {tensor.name for tensor in declaration.inputs}
    if unknown:
        raise ExportError(f"{declaration.name}: calibration rows for {sorted(unknown)}, which are no inputs of it")
    counts = {name: len(values) for name, values in calibration.items()}
    if len(set(counts.values())) > 1:
        raise ExportError(f"{declaration.name}: calibration rows must be aligned, found {counts}")
    rows = next(iter(counts.values()), ROWS)
    if rows == 0:
        raise ExportError(f"{declaration.name}: calibration has tensors {sorted(counts)} without a row")
    return rows


def _axes(declaration: Submodel, calibration: Arrays) -> dict[str, int]:
    """The size of every dynamic axis: that of the rows, or the smallest bucket."""
    axes: dict[str, int] = {}
    for tensor in declaration.inputs:
        if tensor.name in calibration:
            for axis, size in _sizes(declaration, tensor, calibration[tensor.name]):
                if axes.setdefault(axis, size) != size:
                    raise ExportError(
                        f"{declaration.name}: calibration input '{tensor.name}' has {axis} {size}, others {axes[axis]}"
                    )
    return {axis: sizes[0] for axis, sizes in declaration.buckets.items()} | axes


def _sizes(declaration: Submodel, tensor: Tensor, values: NDArray[np.generic]) -> Iterator[tuple[str, int]]:
    """(dynamic axis, its size) of one tensor's rows."""
    shape = values.shape[1:]
    if len(shape) != len(tensor.dims) or any(
        isinstance(dim, int) and dim != size for dim, size in zip(tensor.dims, shape, strict=True)
    ):
        raise ExportError(
            f"{declaration.name}: calibration input '{tensor.name}': expected rows {list(tensor.dims)}, "
            f"found {list(shape)}"
        )
    return ((dim, size) for dim, size in zip(tensor.dims, shape, strict=True) if isinstance(dim, str))


def largest_activations(
    model: onnx.ModelProto, names: Sequence[str], batches: Sequence[Arrays]
) -> dict[str, NDArray[np.float32]]:
    """For each tensor its largest absolute value in every channel (its last axis) over all batches."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    inside = [name for name in names if name not in batches[0]]  # others are inputs, known without a run
    del watched.graph.output[:]
    for name in inside:
        watched.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    answers = _answers(watched, inside, batches) if inside else [{} for _ in batches]
    largest: dict[str, NDArray[np.float32]] = {}
    for batch, answer in zip(batches, answers, strict=True):
        for name in names:
            values = np.abs(answer[name] if name in answer else batch[name]).astype(np.float32)
            peak = values.reshape(-1, values.shape[-1]).max(0)
            largest[name] = np.maximum(largest.get(name, peak), peak)
    return largest


def _answers(model: onnx.ModelProto, names: list[str], batches: Sequence[Arrays]) -> Iterator[Arrays]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for batch in batches:
        yield dict(zip(names, session.run(names, batch), strict=True))


class BatchReader(CalibrationDataReader):  # type: ignore[misc]
    """Hands batches to onnxruntime's calibrator."""

    def __init__(self, batches: Sequence[Arrays]) -> None:
        self._left = iter(batches)

    def get_next(self) -> Arrays | None:
        return next(self._left, None)
