"""Moves what is hard to quantise from activations into weights, without changing what the model computes in fp32.

A few channels of a transformer's activations are many times larger than the rest, and one scale for all of them leaves
the rest a handful of steps. Dividing each channel by a factor and multiplying the weight's row by it evens that out
(SmoothQuant, Xiao et al., 2023). MiniLM, all layers in int8, 67 queries: mean cosine to fp32 0.987 without, 0.998 with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from shopfuse_exporters.precision.sensitivity import Group

STRENGTH = 0.7  # share that goes into the weights; MiniLM's mean cosine: 0.4 0.982, 0.5 0.995, 0.6 0.9979, 0.7 0.9983
SMALLEST_SHARE = 0.01  # of the largest channel: one that calibration hardly saw may be larger when served
Floats = NDArray[np.float32]


def smoothed(model: onnx.ModelProto, groups: Sequence[Group], largest: Mapping[str, Floats]) -> onnx.ModelProto:
    """A copy with one Mul before each group; `largest` has a value for every channel of a group's activation.

    Groups whose weights other nodes read too, or whose activation is always 0, stay as they are.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in result.graph.initializer}
    readers = Counter(name for node in result.graph.node for name in node.input)
    place = {node.name: node for node in result.graph.node}
    before: dict[str, onnx.NodeProto] = {}
    for group in groups:
        nodes = [place[name] for name in group.nodes]
        if any(readers[node.input[1]] > 1 for node in nodes) or not largest[group.activation].any():
            continue
        matrices = [(weights[node.input[1]], _channel_axis(node)) for node in nodes]
        factors = _factors(largest[group.activation], matrices)
        before[nodes[0].name] = _divide(result, group.activation, factors)
        for node, (weight, axis) in zip(nodes, matrices, strict=True):
            _multiply(weight, axis, factors)
            node.input[0] = before[nodes[0].name].output[0]
    _insert(result, before)
    return result


def _channel_axis(node: onnx.NodeProto) -> int:
    """The weight's axis that the activation's channels meet."""
    return int(any(part.name == "transB" and part.i == 1 for part in node.attribute))


def _factors(largest: Floats, weights: Sequence[tuple[onnx.TensorProto, int]]) -> Floats:
    """One for each channel; their geometric mean is 1, so that the scale of the activation stays what it is."""
    rows = np.max([np.abs(numpy_helper.to_array(weight)).max(1 - axis) for weight, axis in weights], axis=0)
    activation = np.maximum(largest, SMALLEST_SHARE * largest.max())
    weight = np.maximum(rows, max(SMALLEST_SHARE * rows.max(), np.finfo(np.float32).tiny))
    factors = activation**STRENGTH / weight ** (1 - STRENGTH)
    smooth: Floats = (factors / np.exp(np.log(factors).mean())).astype(np.float32)
    return smooth


def _divide(model: onnx.ModelProto, activation: str, factors: Floats) -> onnx.NodeProto:
    name = f"{activation}_smoothed"
    model.graph.initializer.append(numpy_helper.from_array((1 / factors).astype(np.float32), f"{name}_factors"))
    node: onnx.NodeProto = helper.make_node("Mul", [activation, f"{name}_factors"], [name], name=f"{name}_mul")
    return node


def _multiply(weight: onnx.TensorProto, axis: int, factors: Floats) -> None:
    values = numpy_helper.to_array(weight) * np.expand_dims(factors, 1 - axis)
    weight.CopyFrom(numpy_helper.from_array(values.astype(np.float32), weight.name))


def _insert(model: onnx.ModelProto, before: Mapping[str, onnx.NodeProto]) -> None:
    """Puts each new node in front of the node of that name, the first that reads it."""
    ordered: list[onnx.NodeProto] = []
    for node in model.graph.node:
        ordered += [before[node.name], node] if node.name in before else [node]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del model.graph.node[:]
    model.graph.node.extend(copies)
