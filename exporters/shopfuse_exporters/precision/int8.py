"""fp32 to int8: weights with a scale for each column, activations with one that is fixed ("static") or found per call.

Dynamic scales are taken over the whole batch, so that an answer depends on its neighbours and on padding; static ones
come from calibration, and a row's answer is its own. Only products with constant weights are quantised: convolutions
and tables stay in fp32 (see the table of measurements in docs/decisions.md).

Weights take the bits that the building machine multiplies without overflow (weight_bits): build on a processor of the
kind that serves. Publishing asks golden queries of the serving one.

TensorRT reads static scales only, and only such as have zero in their middle; biases stay in fp32. On a CPU that would
cost most of what int8 wins (MiniLM, 16 tokens, VNNI: 6.2 ms instead of 1.5), so each has its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from shopfuse.core.progress import Progress
from shopfuse.ranking.tensors import Arrays, Submodel
from shopfuse_exporters.errors import PrecisionError
from shopfuse_exporters.precision.calibration import BatchReader, largest_activations
from shopfuse_exporters.precision.sensitivity import (
    PRODUCTS,
    Agreement,
    Choice,
    Group,
    agreement,
    answers,
    choose,
    quantisable,
)
from shopfuse_exporters.precision.smoothing import smoothed
from shopfuse_exporters.precision.weight_bits import weight_bits

# What all rows must reach, as cosines to fp32. MiniLM on Icecat (67 queries, 19,406 items): NDCG@10 falls by 0.009 at
# a mean of 0.993 and by less than the noise of the judgements at 0.998.
BOUNDS = {"int8": Agreement(0.997, 0.98), "int8_static": Agreement(0.997, 0.98)}


@dataclass(frozen=True, slots=True)
class Quantised:
    model: onnx.ModelProto
    choice: Choice


Quantise = Callable[[Sequence[Group], Path], None]  # writes a model in which these groups are int8


def to_int8(
    declaration: Submodel,
    fp32: Path,
    precision: str,
    batches: Sequence[Arrays],
    progress: Progress,
    *,
    for_gpu: bool = False,
) -> Quantised:
    """Quantises as much as the bound of the precision allows, judged on `batches`, for a CPU or for TensorRT.

    Raises ExportError where there is nothing to quantise or too little would be left of the answers.
    """
    model = _prepared(fp32, precision)
    groups = quantisable(model)
    if not groups:
        raise PrecisionError(
            f"{declaration.name}: no matrix product with constant weights, so nothing to make {precision}"
        )
    largest = largest_activations(model, [group.activation for group in groups], batches)
    smooth = smoothed(model, groups, largest)
    expected = answers(declaration, fp32, batches)
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "smooth.onnx"), Path(folder, "int8.onnx")
        onnx.save(smooth, source)
        quantise = _quantise(precision, source, batches, Path(folder, "ranges.json"), for_gpu)
        regrouped = quantisable(smooth)

        def judge(some: Sequence[Group]) -> Agreement:
            quantise(some, target)
            return agreement(expected, answers(declaration, target, batches))

        choice = choose(declaration, regrouped, judge, BOUNDS[precision], progress)
        quantise(choice.kept, target)
        return Quantised(onnx.load(target), choice)


def _prepared(path: Path, precision: str) -> onnx.ModelProto:
    """The model as the quantiser of the precision wants it: the dynamic one knows MatMul and no Gemm."""
    wrapped = ONNXModel(onnx.load(path))
    if precision == "int8":
        wrapped.replace_gemm_with_matmul()
        del wrapped.model.graph.value_info[:]  # of weights that lie the other way round now
    add_pre_process_metadata(wrapped.model)  # else each quantiser warns that shapes might be missing
    model: onnx.ModelProto = wrapped.model
    return model


def _quantise(precision: str, source: Path, batches: Sequence[Arrays], ranges: Path, for_gpu: bool) -> Quantise:
    return (
        partial(_static, source, batches, ranges, for_gpu) if precision == "int8_static" else partial(_dynamic, source)
    )


def _dynamic(source: Path, groups: Sequence[Group], target: Path) -> None:
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul"],
        nodes_to_quantize=_names(groups),
        per_channel=True,
        weight_type=QuantType.QInt8,
        reduce_range=weight_bits() < 8,
    )


def _static(
    source: Path, batches: Sequence[Arrays], ranges: Path, for_gpu: bool, groups: Sequence[Group], target: Path
) -> None:
    """Outputs stay fp32: onnxruntime then has one kernel for a product and its scales. Calibrates the first time only.

    Gemm stays Gemm: onnxruntime makes one of MatMul and Add anyhow, and unpacks its weights in every call if they were
    quantised as a MatMul's (query tower: 0.47 ms against 0.02).
    """
    quantize_static(
        source,
        target,
        BatchReader(batches),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(PRODUCTS),
        nodes_to_quantize=_names(groups),
        per_channel=True,
        activation_type=QuantType.QInt8 if for_gpu else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        reduce_range=not for_gpu and weight_bits() < 8,
        extra_options={
            "OpTypesToExcludeOutputQuantization": list(PRODUCTS),
            "ActivationSymmetric": for_gpu,
            "QuantizeBias": not for_gpu,
        },
        calibration_cache_path=ranges,
    )


def _names(groups: Sequence[Group]) -> list[str]:
    return [name for group in groups for name in group.nodes]
