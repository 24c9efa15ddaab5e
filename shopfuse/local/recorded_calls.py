"""The Triton calls behind gateway requests, recorded so that a benchmark can send the very same ones directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse_gateway.pipeline.deadline import Deadline
from shopfuse_gateway.pipeline.flow import answer
from shopfuse_gateway.pipeline.request import RankingRequest
from shopfuse_gateway.releases.engine import Call
from shopfuse_gateway.server import open_gateway
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.impression_log import Impressions
from shopfuse_gateway.telemetry.request_trace import Journal
from shopfuse_gateway.triton.client import TritonClient
from shopfuse_gateway.triton.served_model import Arrays, ServedModel


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


async def record_calls(workspace: Path, triton: str, requests: Sequence[RankingRequest]) -> list[list[bytes]]:
    """For each request, the serialised ModelInferRequests that answering it takes, in order.

    All are asked twice and recorded the second time: a running gateway has its queries encoded.
    """
    settings = Settings(workspace, triton, log_impressions=False)
    async with open_gateway(settings) as gateway:
        recorded = []
        for request in (*requests, *requests):
            recorder = Recorder(gateway.engine.triton)
            engine = replace(gateway.engine, triton=recorder)  # type: ignore[arg-type]
            deadline = Deadline.start(None, 5.0, 0.0)
            await answer(engine, Call(request, deadline, Journal(engine.metrics)), Impressions(None, engine.metrics))
            recorded.append(recorder.calls)
        return recorded[len(requests) :]
