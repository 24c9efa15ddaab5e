"""What is counted of a rollout under load: errors, answers that mix releases, users who go back and forth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest

from shopfuse.loadtest.open_loop import Front, ObservedCall, SteadyLoad, steady_load
from shopfuse.loadtest.rollout import is_mixed, row_of, unsteady
from shopfuse.release.manifest import Manifest, ModelVersion
from shopfuse.v1.item_pb2 import RankedItem, ServedBy
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse.v1.search_pb2_grpc import SearchServiceServicer, add_SearchServiceServicer_to_server
from tests.manifests import tiny_manifest


def manifest(release_id: str, version: int, task: str) -> Manifest:
    models = {"ranker": ModelVersion("ranker", version, "fp32", "0" * 64)}
    return replace(tiny_manifest(release_id, models), tasks={task: 1.0})


RELEASES = {"r1": manifest("r1", 1, "relevance"), "r2": manifest("r2", 2, "click")}
CALL = ObservedCall(1.0, 0.01, "OK", "anna", "r1", (("ranker", 1),), ("relevance",), degraded=False)


@pytest.mark.parametrize(
    ("call", "mixed"),
    [
        (CALL, False),
        (replace(CALL, release="r2", versions=(("ranker", 2),), tasks=("click",)), False),
        (replace(CALL, versions=(("ranker", 2),)), True),
        (replace(CALL, tasks=("click",)), True),
        (replace(CALL, release="r3"), True),
    ],
)
def test_an_answer_is_mixed_where_it_has_parts_of_another_release(call: ObservedCall, mixed: bool) -> None:
    assert is_mixed(call, RELEASES) == mixed


def test_a_user_who_comes_back_is_unsteady_and_one_who_moves_is_not() -> None:
    there = [replace(CALL, sent_at=float(at), release=name) for at, name in enumerate(("r1", "r2", "r1"))]

    assert unsteady(there) == 1
    assert unsteady(there[:2]) == 0


def test_a_row_counts_errors_and_degraded_answers_apart() -> None:
    calls = [CALL, replace(CALL, degraded=True), replace(CALL, status="UNAVAILABLE", release="", versions=())]
    row = row_of("publish", 0.5, calls, RELEASES)

    assert (row["requests"], row["errors"], row["mixed"], row["degraded"]) == (3, 1, 0, 1)
    assert row["answers"] == "UNAVAILABLE 1, r1 2"


class _Shop(SearchServiceServicer):
    """Answers from release r2, and refuses "no"."""

    async def Search(self, request: SearchRequest, context: grpc.aio.ServicerContext) -> SearchResponse:  # noqa: N802
        if request.query == "no":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "closed")
        return SearchResponse(
            items=[RankedItem(item_id="a", task_scores={"click": 0.5})],
            served_by=ServedBy(release_id="r2", model_versions={"ranker": 2}),
        )


@pytest.fixture
async def address() -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_SearchServiceServicer_to_server(_Shop(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_the_load_keeps_its_rate_and_notes_every_answer(address: str) -> None:
    requests = tuple(SearchRequest(query=word, user_id=word).SerializeToString() for word in ("yes", "no"))
    with steady_load(SteadyLoad(Front(address), requests, per_s=40.0, seconds=0.5, timeout_s=30.0)) as future:
        calls = await asyncio.wait_for(asyncio.wrap_future(future), 120)

    assert len(calls) == 20
    times = [call.sent_at for call in calls]
    assert max(times) - min(times) > 0.1  # 0.475 s at this rate, a few thousandths if all were sent at once
    assert {(call.user, call.status) for call in calls} == {("yes", "OK"), ("no", "UNAVAILABLE")}
    assert {call.release for call in calls if call.status == "OK"} == {"r2"}
    assert not any(is_mixed(call, RELEASES) for call in calls if call.status == "OK")
