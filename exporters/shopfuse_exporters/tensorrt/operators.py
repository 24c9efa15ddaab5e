"""Which ONNX operators TensorRT can build, and what an exported graph has that it cannot.

The facts are those of onnx-tensorrt's docs/operators.md for TensorRT 10.15 (opset 9 to 24), the newest edition that
we could read; TensorRT 11 removed no operator from the list that we know of. The parser inside TensorRT has the last
word when a plan is built: this check says hours earlier, and without a GPU, what it would refuse.
Control flow is left out on purpose: our models have none, and a plan with loops cannot be batched well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, shape_inference

from shopfuse.release.manifest import model_file
from shopfuse.release.verify import read_manifest
from shopfuse_exporters.errors import ExportError

OPSETS: Final = range(9, 25)

_FLOATS = "FP32 FP16 BF16"
_NUMBERS = f"{_FLOATS} INT32 INT64"
_ALL = f"{_NUMBERS} BOOL"
_OPERATORS_BY_TYPES: Final = {
    _FLOATS: """
        Acos Acosh Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Conv ConvTranspose Cos Cosh
        CumSum Dropout Einsum Elu Erf Exp Floor GRU Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool
        GroupNormalization HardSigmoid HardSwish Hardmax ImageScaler InstanceNormalization IsInf LRN LSTM
        LayerNormalization LeakyRelu Log LogSoftmax LpNormalization LpPool MatMul MaxPool MeanVarianceNormalization
        PRelu ParametricSoftplus
        QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Reciprocal
        Resize RotaryEmbedding Round ScaledTanh Selu Sigmoid Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh
        ThresholdedRelu Upsample""",
    _NUMBERS: """
        Abs Add ArgMax ArgMin DepthToSpace Div Equal Greater GreaterOrEqual IsNaN Less LessOrEqual Max Min Mod Mul Neg
        Pad Pow Range ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare Relu Scatter ScatterElements ScatterND Shrink Sign SpaceToDepth Sub Sum TopK""",
    _ALL: """
        Concat Expand EyeLike Flatten Gather GatherElements GatherND Identity OneHot Reshape ReverseSequence Shape Size
        Slice Split Squeeze Tile Transpose Trilu Unsqueeze Where""",
    f"{_FLOATS} INT8 INT32 INT64": "Gelu",
    f"{_FLOATS} INT8 FP8": "Attention",
    f"{_NUMBERS} FP8": "Mean",
    f"{_ALL} UINT8": "Cast CastLike",
    f"{_ALL} FP8 FP4 INT4": "Constant ConstantOfShape",
    f"{_FLOATS} INT32": "TensorScatter",
    "FP32 FP16": """
        BlackmanWindow DeformConv GridSample HammingWindow HannWindow Mish NonMaxSuppression NonZero RoiAlign""",
    "FP32": "STFT",
    "BOOL": "And Not Or Xor",
    "INT8 INT4 FP8 FP4": "DequantizeLinear",
}
SUPPORTED: Final = {
    operator: frozenset(types.split())
    for types, operators in _OPERATORS_BY_TYPES.items()
    for operator in operators.split()
}
_AXES_MUST_BE_CONSTANT = frozenset(name for name in SUPPORTED if name.startswith("Reduce")) | {"Squeeze", "Unsqueeze"}
_TYPED_INPUT = {"Where": 1, "OneHot": 2}  # the input whose type counts, where it is not the first
_TYPE_NAMES: dict[int, str] = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.FLOAT8E4M3FN: "FP8",
    TensorProto.FLOAT4E2M1: "FP4",
    TensorProto.DOUBLE: "FP32",  # cast down, with a warning
    TensorProto.INT4: "INT4",
}


def check_operators(submodel: str, path: Path) -> None:
    """Raises ExportError naming operators and nodes where TensorRT cannot build this ONNX file."""
    problems = operator_problems(onnx.load(path))
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise ExportError(f"{submodel}: TensorRT cannot build {path.name}: {'; '.join(problems[:5])}{more}")


def release_operator_problems(root: Path) -> dict[str, list[str]]:
    """By submodel of a release, what TensorRT cannot build of it; empty lists where it can."""
    models = read_manifest(root).models.items()
    return {name: operator_problems(onnx.load(root / model_file(model))) for name, model in models}


def operator_problems(model: onnx.ModelProto) -> list[str]:
    """What TensorRT would refuse, one line for each node; empty where nothing is."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    problems = [] if opset in OPSETS else [f"opset {opset}, expected {OPSETS.start} to {OPSETS.stop - 1}"]
    inferred = shape_inference.infer_shapes(model).graph
    types, constants = _types(inferred), _constants(inferred)
    for node in inferred.node:
        problems += [
            f"{node.op_type} (node '{node.name}'): {reason}" for reason in _node_problems(node, types, constants)
        ]
    return problems


def _node_problems(node: Any, types: dict[str, str], constants: set[str]) -> Iterator[str]:
    allowed = SUPPORTED.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if allowed is None:
        yield "not an operator that TensorRT builds"
        return
    place = _TYPED_INPUT.get(node.op_type, 0)
    dtype = types.get(node.input[place]) if place < len(node.input) else None
    if dtype is not None and dtype not in allowed:
        yield f"its input '{node.input[place]}' is {dtype}, supported are {', '.join(sorted(allowed))}"
    if node.op_type in _AXES_MUST_BE_CONSTANT and len(node.input) > 1 and node.input[1] not in constants:
        yield f"its axes '{node.input[1]}' must be constant"


def _types(graph: Any) -> dict[str, str]:
    """The element type of every tensor that is known."""
    values = [*graph.input, *graph.value_info, *graph.output]
    dtypes = {value.name: _type_name(value.type.tensor_type.elem_type) for value in values}
    return dtypes | {tensor.name: _type_name(tensor.data_type) for tensor in graph.initializer}


def _type_name(code: int) -> str:
    return _TYPE_NAMES.get(code) or str(TensorProto.DataType.Name(code))


def _constants(graph: Any) -> set[str]:
    computed = {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    return computed | {tensor.name for tensor in graph.initializer} | {""}
