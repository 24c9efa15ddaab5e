"""How many bits of an int8 weight this machine multiplies without overflow: all eight, or seven.

Without VNNI (or ARM's dot product) a processor adds pairs of products in 16 bits, which eight bits overflow: answers
are then wrong without any error. A product whose result is known tells, for it runs on the very kernels that serve.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

_ROWS, _DEPTH, _COLUMNS = 4, 64, 16


@cache
def weight_bits() -> int:
    """8, or 7 where a sum of the largest products comes out too small."""
    session = onnxruntime.InferenceSession(_largest_products(), providers=["CPUExecutionProvider"])
    sums = session.run(None, {"x": np.full((_ROWS, _DEPTH), 255, np.uint8)})[0]
    return 8 if (sums == _DEPTH * 255 * 127).all() else 7


def _largest_products() -> bytes:
    weights = numpy_helper.from_array(np.full((_DEPTH, _COLUMNS), 127, np.int8), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "largest_products",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [_ROWS, _DEPTH])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [_ROWS, _COLUMNS])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())
