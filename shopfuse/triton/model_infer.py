"""Triton's call ModelInfer: arrays to a request, a response to arrays; for all that asks Triton but the gateway.

The requests are sent on the channel of a ModelControl. tritonclient's own client opens a channel for itself, gives no
futures, and makes texts of gRPC's status codes, by which callers here tell what passes from what stays.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype


def request_of(model: str, version: str, inputs: Mapping[str, NDArray[np.generic]]) -> service_pb2.ModelInferRequest:
    """A request to one version of a model ("": whichever is served) for all its outputs."""
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, values in inputs.items():
        request.inputs.add(name=name, datatype=np_to_triton_dtype(values.dtype), shape=values.shape)
        request.raw_input_contents.append(values.tobytes())
    return request


def answer_of(response: service_pb2.ModelInferResponse) -> dict[str, NDArray[np.generic]]:
    """The outputs by name."""
    return {
        output.name: np.frombuffer(raw, triton_to_np_dtype(output.datatype)).reshape(output.shape)
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }
