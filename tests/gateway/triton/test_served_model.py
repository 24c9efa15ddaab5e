"""Requests made of bytes say what the protobuf library would say; answers that lie are caught."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from shopfuse.ranking.tensors import Tensor
from shopfuse_gateway.triton.served_model import BadOutput, ServedModel

MODEL = ServedModel(
    "twins",
    "7",
    (Tensor("ids", "INT64", ("length",)), Tensor("halves", "FP16", ("length", 2)), Tensor("flag", "FP32", (1,))),
    (Tensor("sums", "FP32", ("length",)),),
)

AXES = {"length": 64}


def test_request_is_the_one_that_protobuf_would_write() -> None:
    arrays = {
        "ids": np.arange(64),
        "halves": np.ones((64, 2), np.float32),  # cast to what the model declares
        "flag": np.ones(1, np.float32),
    }
    expected = service_pb2.ModelInferRequest(model_name="twins", model_version="7")
    for tensor in MODEL.inputs:
        expected.inputs.add(name=tensor.name, datatype=tensor.dtype, shape=tensor.shape(1, AXES))
    expected.raw_input_contents.append(np.arange(64, dtype=np.int64).tobytes())
    expected.raw_input_contents.append(np.ones((64, 2), np.float16).tobytes())
    expected.raw_input_contents.append(np.ones(1, np.float32).tobytes())

    assert service_pb2.ModelInferRequest.FromString(MODEL.request(arrays, AXES)) == expected


def answer(values: NDArray[np.generic], name: str = "sums") -> service_pb2.ModelInferResponse:
    response = service_pb2.ModelInferResponse(raw_output_contents=[values.tobytes()])
    response.outputs.add(name=name, datatype="FP32", shape=values.shape)
    return response


def test_outputs_come_without_their_batch_axis() -> None:
    outputs = MODEL.read(answer(np.arange(64, dtype=np.float32)[None]), AXES)

    assert outputs["sums"].shape == (64,) and outputs["sums"][5] == 5.0


@pytest.mark.parametrize(
    "response",
    [
        answer(np.zeros((1, 63), np.float32)),
        answer(np.zeros((64,), np.float32)),
        answer(np.zeros((1, 64), np.float16)),
        answer(np.zeros((1, 64), np.float32), "other"),
        answer(np.full((1, 64), np.nan, np.float32)),
        answer(np.full((1, 64), np.inf, np.float32)),
        service_pb2.ModelInferResponse(),
        service_pb2.ModelInferResponse(outputs=answer(np.zeros((1, 64), np.float32)).outputs),
    ],
)
def test_answer_that_is_not_as_declared_is_caught(response: service_pb2.ModelInferResponse) -> None:
    with pytest.raises(BadOutput):
        MODEL.read(response, AXES)
