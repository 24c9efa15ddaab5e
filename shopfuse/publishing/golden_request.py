"""Arrays to one inference request of Triton and back, through the protobuf messages alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

DATA_TYPES = {"float32": "FP32", "float16": "FP16", "int64": "INT64", "uint8": "UINT8"}
NUMPY_TYPES = {triton: np.dtype(name) for name, triton in DATA_TYPES.items()}


def request_of(model: str, version: str, inputs: Mapping[str, NDArray[np.generic]], outputs: Sequence[str]) -> Any:
    """A ModelInferRequest for one version of a model."""
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, values in inputs.items():
        request.inputs.add(name=name, datatype=DATA_TYPES[values.dtype.name], shape=values.shape)
        request.raw_input_contents.append(np.ascontiguousarray(values).tobytes())
    for name in outputs:
        request.outputs.add(name=name)
    return request


def answer_of(response: Any) -> dict[str, NDArray[np.generic]]:
    """The outputs of a ModelInferResponse by name."""
    return {
        output.name: np.frombuffer(raw, NUMPY_TYPES[output.datatype]).reshape(tuple(output.shape))
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }
