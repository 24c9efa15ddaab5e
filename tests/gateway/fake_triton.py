"""A Triton of a few lines on a real port: it answers every model of a tiny release, and can crash, hang or lie."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.ranking.tensors import MODALITIES, NUMPY_TYPE, TASKS, VECTOR
from shopfuse.ranking.text_heads import CLASSIFY_TEXT, OUTPUTS
from tests.gateway.tiny_release import TEXT_DIM, looks, marked, unit_rows

Behaviour = Literal["healthy", "hanging", "failing", "nan", "misshaped"]
Arrays = dict[str, NDArray[Any]]  # of the types that the models' tensors have


def open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated code is untyped
    """Answers every model with numbers of the right shape; `behaviour` makes it hang, fail or lie.

    Vectors that it gives begin with the number of the release they are of, as those of items do. Scores of release n
    are 100 n higher; `mixed` lists the rank calls that got vectors of another release than that of the ranker.
    """

    behaviour: Behaviour = "healthy"
    calls: list[str] = field(default_factory=list)
    metadata: list[list[tuple[str, str]]] = field(default_factory=list)  # of each call
    gate: asyncio.Event = field(default_factory=open_gate)  # where it is closed, calls of r1's models wait
    missing: set[str] = field(default_factory=set)  # models that are not loaded
    broken: set[int] = field(default_factory=set)  # releases whose models fail
    mixed: list[set[int]] = field(default_factory=list)

    async def ModelReady(  # noqa: N802  (gRPC's name)
        self, request: service_pb2.ModelReadyRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelReadyResponse:
        return service_pb2.ModelReadyResponse(ready=request.name not in self.missing)

    async def ModelInfer(  # noqa: N802  (gRPC's name)
        self, request: service_pb2.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelInferResponse:
        self.calls.append(request.model_name)
        self.metadata.append([(key, str(text)) for key, text in context.invocation_metadata()])
        if release_number(request) == 1:
            await self.gate.wait()
        if self.behaviour == "hanging":
            await asyncio.Event().wait()
        if self.behaviour == "failing" or release_number(request) in self.broken:
            await context.abort(grpc.StatusCode.INTERNAL, "onnxruntime: something about 10.0.0.7")
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        for name, values in self.outputs(request).items():
            values = np.full_like(values, np.nan) if self.behaviour == "nan" else values
            values = values[:, :1] if self.behaviour == "misshaped" else values
            response.outputs.add(name=name, datatype="FP32", shape=values.shape)
            response.raw_output_contents.append(values.tobytes())
        return response

    def outputs(self, request: service_pb2.ModelInferRequest) -> dict[str, NDArray[np.float32]]:
        inputs: Arrays = {
            tensor.name: read(tensor, raw)
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        number = release_number(request)
        if request.model_name.startswith(CLASSIFY_TEXT):
            return classified(inputs["input_ids"])
        if "input_ids" in inputs:
            word = int(inputs["input_ids"][0, 0])
            return {
                "text_embedding": unit_rows(word, 1, TEXT_DIM),
                "query_vector": marked(unit_rows(word, 1, VECTOR), number),
            }
        if "pixels" in inputs:
            item = int(inputs["pixels"][0, 0, 0, 0])
            return {
                "image_embedding": looks()[item : item + 1],
                "image_vector": marked(unit_rows(item, 1, VECTOR), number),
            }
        if "item_vectors" not in inputs:
            return {"user_vector": marked(inputs["history_vectors"][:, -1].astype(np.float32), number)}
        if not inputs["features"].all():  # else it is the warm-up, which is all ones
            self.check_release(inputs, number)
        price = inputs["features"][:, :, 0]  # the dearer, the better: an order that no channel would give
        shape = price.shape
        return {
            "task_probabilities": np.repeat(price[:, :, None] / 10 + 100 * number, len(TASKS), 2).astype(np.float32),
            "modality_weights": np.full((*shape, len(MODALITIES)), 1 / 3, np.float32),
        }

    def check_release(self, inputs: Arrays, number: int) -> None:
        releases = {number, int(inputs["item_vectors"][0, 0, 0]), int(inputs["modality_vectors"][0, 0, 0, 0])}
        if inputs["query_present"].any():
            releases.add(int(inputs["query_vector"][0, 0]))
        if inputs["user_present"].any() and "user_vector" in inputs:
            releases.add(int(inputs["user_vector"][0, 0]))
        if len(releases) > 1:
            self.mixed.append(releases)


def classified(input_ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """Of the labels of release_edits.add_heads: a text's first word says which one holds 0.7."""
    rows = np.full((len(input_ids), 3), 0.15, np.float32)
    rows[np.arange(len(rows)), input_ids[:, 0] % 3] = 0.7
    return dict.fromkeys(OUTPUTS.values(), rows)


def release_number(request: service_pb2.ModelInferRequest) -> int:
    """The release that a called model is of: from its version, or from the name of an ensemble."""
    return int(request.model_version) - 2 if request.model_version else int(request.model_name.rpartition("_r")[2])


def read(tensor: service_pb2.ModelInferRequest.InferInputTensor, raw: bytes) -> NDArray[Any]:
    return np.frombuffer(raw, NUMPY_TYPE[tensor.datatype]).reshape(tuple(tensor.shape))


@dataclass(frozen=True)
class Triton:
    """The fake behind a port; `stop` and `start` are a crash and a return."""

    fake: FakeTriton
    port: int
    running: list[grpc.aio.Server]

    async def start(self) -> int:
        server = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self.fake, server)
        port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self.running.append(server)
        return int(port)

    async def stop(self) -> None:
        while self.running:
            await self.running.pop().stop(None)
