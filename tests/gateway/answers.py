"""What tests read out of an answer, and out of a refusal."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from shopfuse.v1.item_pb2 import RankedItem
from shopfuse.v1.recommendation_pb2 import RankItemsResponse, RecommendResponse, RecommendSimilarItemsResponse
from shopfuse.v1.search_pb2 import SearchResponse

Answer: TypeAlias = SearchResponse | RecommendResponse | RecommendSimilarItemsResponse | RankItemsResponse


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


def codes(item: RankedItem) -> list[str]:
    return [reason.code for reason in item.explanation.reasons]


def degradations(answer: Answer) -> set[tuple[str, str]]:
    """(stage, reason) of each."""
    assert answer.degraded == bool(answer.degradations)
    return {(degradation.stage, degradation.reason) for degradation in answer.degradations}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed call's status and the details of its google.rpc.Status, empty where the gRPC library itself refused."""

    code: grpc.StatusCode
    text: str
    reason: str
    fields: tuple[str, ...]  # at fault
    retry_s: float | None
    told: str  # all that a client is told, as it would log it


async def refused(call: Awaitable[object]) -> Refusal:
    """How a call is refused that must be."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        assert any(detail.Unpack(kind) for kind in (info, bad, retry))
    assert status is None or info.domain == "shopfuse"
    return Refusal(
        error.code(),
        error.details() or "",
        info.reason,
        tuple(dict.fromkeys(violation.field for violation in bad.field_violations)),
        retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        str(error),
    )
