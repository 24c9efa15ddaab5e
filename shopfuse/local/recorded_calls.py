"""The calls to Triton behind a request, as bytes: what a load without the gateway is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.v1.recommendation_pb2 import RankItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.pipeline.call import Call, Deadline
from shopfuse_gateway.pipeline.flow import answer
from shopfuse_gateway.pipeline.request import RankingRequest, from_rank, from_search
from shopfuse_gateway.server import open_gateway
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.impression_log import ImpressionLog
from shopfuse_gateway.telemetry.request_trace import RequestTrace
from shopfuse_gateway.triton.client import METHOD, TritonClient
from shopfuse_gateway.triton.served_model import Arrays, ServedModel

READERS: dict[type, Callable[[Any], RankingRequest]] = {RankItemsRequest: from_rank, SearchRequest: from_search}


@dataclass(frozen=True, slots=True)
class RecordedCalls:
    method: str  # of Triton's gRPC
    calls: list[list[bytes]]  # of each request in order, serialised


def record_calls(workspace: Path, triton: str, requests: Sequence[RankItemsRequest | SearchRequest]) -> RecordedCalls:
    """What answering the requests asks of Triton.

    All are answered twice and recorded the second time: a running gateway has its queries encoded.
    """
    calls = asyncio.run(_record(workspace, triton, [READERS[type(request)](request) for request in requests]))
    return RecordedCalls(METHOD, calls)


async def _record(workspace: Path, triton: str, requests: Sequence[RankingRequest]) -> list[list[bytes]]:
    settings = Settings(workspace, triton, log_impressions=False)
    async with open_gateway(settings) as gateway:
        recorded = []
        for request in (*requests, *requests):
            recorder = Recorder(gateway.engine.triton)
            engine = replace(gateway.engine, triton=recorder)  # type: ignore[arg-type]
            deadline = Deadline.start(None, 5.0, 0.0)
            await answer(
                engine, Call(request, deadline, RequestTrace(engine.metrics)), ImpressionLog(None, engine.metrics)
            )
            recorded.append(recorder.calls)
        return recorded[len(requests) :]


class Recorder:
    """Passes calls on to Triton and keeps their bytes."""

    def __init__(self, triton: TritonClient) -> None:
        self._triton = triton
        self.calls: list[bytes] = []

    async def infer(
        self, model: ServedModel, arrays: Arrays, axes: Mapping[str, int], timeout_s: float
    ) -> dict[str, NDArray[np.float32]]:
        self.calls.append(model.request(arrays, axes))
        return await self._triton.infer(model, arrays, axes, timeout_s)
