"""One exported model in another precision: the same tensors, the same answers nearly, smaller or faster.

The same inputs give the same bytes, so that an unchanged model keeps its version. How much worse a shop's search gets
by it is measured elsewhere: see `shopfuse bench precisions`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from google.protobuf.message import DecodeError

from shopfuse.core.progress import Progress, silent
from shopfuse.ranking.tensors import Arrays, Submodel
from shopfuse_exporters.errors import ExportError, PrecisionError
from shopfuse_exporters.onnx.export import tensor_problems
from shopfuse_exporters.precision.calibration import calibration_batches
from shopfuse_exporters.precision.fp16 import to_fp16
from shopfuse_exporters.precision.int8 import to_int8
from shopfuse_exporters.precision.precisions import FULL, PRECISIONS


def convert(
    declaration: Submodel,
    fp32: Path,
    precision: str,
    calibration: Arrays,
    target: Path,
    progress: Progress = silent,
    *,
    for_gpu: bool = False,
) -> Path:
    """Writes the exported model at `fp32` in another precision to `target`; `for_gpu`, as TensorRT reads it.

    `calibration` holds rows [n, ...] for some or all inputs, row-aligned, their dynamic axis of any one size; inputs
    that are not given are drawn at random. Raises ExportError for an unknown precision, for int8_static without any
    real row, where the model cannot be converted, and where a tensor of the result is not as declared.
    """
    if precision not in PRECISIONS:
        raise ExportError(
            f"{declaration.name}: unknown precision {precision!r}, expected one of {', '.join(PRECISIONS)}"
        )
    source = _read(declaration, fp32)
    if precision == FULL:
        return _write(declaration, source, target)
    if precision == "fp16":
        return _write(declaration, to_fp16(source), target)
    if precision == "int8_static" and not calibration:
        raise PrecisionError(f"{declaration.name}: int8_static needs real rows to calibrate on, and none were given")
    batches = calibration_batches(declaration, calibration)
    return _write(declaration, to_int8(declaration, fp32, precision, batches, progress, for_gpu=for_gpu).model, target)


def _read(declaration: Submodel, path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
    except (OSError, DecodeError) as error:
        raise ExportError(f"{declaration.name}: cannot read {path}: {error}") from error
    problems = tensor_problems(declaration, model)
    if problems:
        raise ExportError(f"{declaration.name}: {path} is not as declared: {'; '.join(problems)}")
    return model


def _write(declaration: Submodel, model: onnx.ModelProto, target: Path) -> Path:
    """Checked, opened once, without traces of the tools; in place only when all is well."""
    _strip(model)
    problems = tensor_problems(declaration, model)
    if problems:
        raise ExportError(f"{declaration.name}: the converted graph is not as declared: {'; '.join(problems)}")
    onnx.checker.check_model(model)
    content = model.SerializeToString(deterministic=True)
    _open(declaration, content)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def _strip(model: onnx.ModelProto) -> None:
    """Removes what the converters note about themselves, and shapes inside the graph, which a reader infers anyway."""
    parts: list[Any] = [model, model.graph, *model.graph.node, *model.graph.initializer]
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]


def _open(declaration: Submodel, content: bytes) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen unrelated classes for "cannot open"
        raise ExportError(f"{declaration.name}: onnxruntime cannot open the converted model: {error}") from error
