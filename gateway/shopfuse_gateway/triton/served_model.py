"""One model as Triton serves it: its requests as bytes, its answers as checked arrays.

Everything of a request but the tensors' contents depends only on the model and the padded sizes. It is serialised once
for each size; a call appends the contents (protobuf fields may come in any order and in pieces).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.tensors import NUMPY_TYPE, Tensor
from shopfuse_gateway.wire import varint

Arrays = Mapping[str, NDArray[Any]]
BATCH = "batch"  # among the axes: how many rows a request has; arrays then have a batch axis
RAW_CONTENTS_TAG = b"\x3a"  # ModelInferRequest.raw_input_contents: field 7, length-delimited


class BadOutput(ShopfuseError):
    """An answer that is not what the model declares: a missing tensor, another shape, NaN or infinity."""


class ServedModel:
    """A model or ensemble at one version ("" where the name itself is of one release). One row, where no BATCH is
    among the axes."""

    def __init__(self, name: str, version: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.name = name
        self.version = version
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._frames: dict[tuple[tuple[str, int], ...], tuple[bytes, tuple[bytes, ...]]] = {}

    def request(self, arrays: Arrays, axes: Mapping[str, int]) -> bytes:
        """A serialised ModelInferRequest. `arrays` hold every input, padded to `axes`, without batch axis."""
        head, tags = self._frame(axes)
        parts: list[Any] = [head]
        for tensor, tag in zip(self.inputs, tags, strict=True):
            array = np.ascontiguousarray(arrays[tensor.name], NUMPY_TYPE[tensor.dtype])
            parts += (tag, array.data.cast("B"))
        return b"".join(parts)

    def read(self, response: service_pb2.ModelInferResponse, axes: Mapping[str, int]) -> dict[str, NDArray[np.float32]]:
        """The outputs, without batch axis unless `axes` have one. Raises BadOutput."""
        pairs = zip(response.outputs, response.raw_output_contents, strict=False)
        answered = {output.name: (tuple(output.shape), raw) for output, raw in pairs}
        values = {}
        for tensor in self.outputs:
            shape = tensor.shape(axes.get(BATCH, 1), dict(axes))
            told, raw = answered.get(tensor.name, ((), b""))
            if told != shape:
                raise BadOutput(f"{self.name}: expected output {tensor.name} {shape}, got {told} of {sorted(answered)}")
            if len(raw) != 4 * math.prod(shape):
                raise BadOutput(f"{self.name}: output {tensor.name} holds {len(raw)} bytes, expected {shape} of FP32")
            array = np.frombuffer(raw, np.float32).reshape(shape if BATCH in axes else shape[1:])
            if not np.isfinite(array).all():
                raise BadOutput(f"{self.name}: output {tensor.name} is not finite")
            values[tensor.name] = array
        return values

    def _frame(self, axes: Mapping[str, int]) -> tuple[bytes, tuple[bytes, ...]]:
        """(the request without contents, the tag and length that go before each input's contents)."""
        key = tuple(axes.items())
        if key not in self._frames:
            self._frames[key] = self._make_frame(dict(axes))
        return self._frames[key]

    def _make_frame(self, axes: dict[str, int]) -> tuple[bytes, tuple[bytes, ...]]:
        request = service_pb2.ModelInferRequest(model_name=self.name, model_version=self.version)
        tags = []
        for tensor in self.inputs:
            shape = tensor.shape(axes.get(BATCH, 1), axes)
            request.inputs.add(name=tensor.name, datatype=tensor.dtype, shape=shape)
            size = math.prod(shape) * np.dtype(NUMPY_TYPE[tensor.dtype]).itemsize
            tags.append(RAW_CONTENTS_TAG + varint(size))
        # No outputs are named, so all come: asked for some of an ensemble's, Triton 2.51 ends in "unexpected deadlock".
        return request.SerializeToString(), tuple(tags)
