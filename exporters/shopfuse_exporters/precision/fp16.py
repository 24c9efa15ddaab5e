"""fp32 to fp16 with what loses by it left in fp32: normalisations, softmax, sums, and both ends of the graph.

The ends are elementwise work, cheap in any precision: features come in with ranges that fp16 does not have, and behind
the last matrix product come pooling, L2 norms and products of small probabilities. For GPUs: on a CPU onnxruntime has
few fp16 kernels and casts back and forth.
"""

from __future__ import annotations

import onnx
import onnx_ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, TopologicalSortPass
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

FP32_OPERATORS = (
    "BatchNormalization",
    "Clip",
    "Exp",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "Log",
    "Pow",
    "ReduceL2",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Sigmoid",
    "Softmax",
    "Sqrt",
)
MATRIX_OPERATORS = frozenset({"Conv", "Einsum", "Gemm", "MatMul"})
TABLE_OPERATORS = frozenset({"Gather", "GatherND", "GatherElements"})


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights and matrix products are fp16; inputs and outputs keep their types."""
    source = onnx.ModelProto()
    source.CopyFrom(model)
    ends = _behind_the_last_product(source.graph) | _before_the_first_product(source.graph)
    half: onnx.ModelProto = convert_float_to_float16(
        source,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *FP32_OPERATORS],
        node_block_list=sorted(ends),
    )
    _once(half.graph)
    _skip_roundings(half.graph)
    return _tidied(half)


def _behind_the_last_product(graph: onnx.GraphProto) -> set[str]:
    """Names of nodes from which no matrix product is reached."""
    leads_to_product: set[str] = set()  # tensors
    names = set()
    for node in reversed(graph.node):
        if node.op_type in MATRIX_OPERATORS or leads_to_product.intersection(node.output):
            leads_to_product.update(node.input)
        if node.op_type not in MATRIX_OPERATORS and not leads_to_product.intersection(node.output):
            names.add(node.name)
    return names


def _before_the_first_product(graph: onnx.GraphProto) -> set[str]:
    """Names of nodes that compute on an fp32 input, with neither a matrix product nor a table in between."""
    plain = {value.name for value in graph.input if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    learned: set[str] = set()
    names = set()
    for node in graph.node:
        if node.op_type in MATRIX_OPERATORS | TABLE_OPERATORS or learned.intersection(node.input):
            learned.update(node.output)
        elif plain.intersection(node.input):
            plain.update(node.output)
            names.add(node.name)
    return names


def _once(graph: onnx.GraphProto) -> None:
    """The converter adds the same cast, by the same name, for every spared node that reads a tensor; one is enough."""
    made: set[str] = set()
    kept = []
    for node in graph.node:
        if made.isdisjoint(node.output):
            kept.append(node)
        made.update(node.output)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _skip_roundings(graph: onnx.GraphProto) -> None:
    """fp32 -> fp16 -> fp32, which the converter leaves between two nodes that it spares, becomes fp32."""
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        maker = makers.get(node.input[0]) if _casts_to(node, onnx.TensorProto.FLOAT) else None
        if maker is not None and _casts_to(maker, onnx.TensorProto.FLOAT16):
            node.input[0] = maker.input[0]


def _casts_to(node: onnx.NodeProto, dtype: int) -> bool:
    return node.op_type == "Cast" and any(part.name == "to" and part.i == dtype for part in node.attribute)


def _tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Nodes in an order that they can run in, without those that nobody reads; inputs stay, read or not."""
    tidy = onnx_ir.from_proto(model)
    onnx_ir.passes.Sequential(TopologicalSortPass(), RemoveUnusedNodesPass())(tidy)
    return onnx_ir.to_proto(tidy)
