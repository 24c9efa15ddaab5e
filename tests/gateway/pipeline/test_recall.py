"""Candidates come from the recall that training uses; the gateway adds threads and deadlines."""

from __future__ import annotations

import asyncio

import pytest

from shopfuse.recall.channels import applicable_channels, pool
from shopfuse.recall.item_table import ItemTable
from shopfuse.v1.item_pb2 import ItemFilter
from shopfuse.v1.recommendation_pb2 import RecommendRequest, RecommendSimilarItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.pipeline import recall as recall_module
from shopfuse_gateway.pipeline.call import Call, Deadline
from shopfuse_gateway.pipeline.encode import encode
from shopfuse_gateway.pipeline.recall import recall
from shopfuse_gateway.pipeline.request import RankingRequest, from_recommend, from_search, from_similar
from shopfuse_gateway.pipeline.user import read_user
from shopfuse_gateway.telemetry.request_trace import RequestTrace
from tests.gateway.shop import Serve


@pytest.mark.parametrize(
    "request_",
    [
        from_search(SearchRequest(query="red shoes", user_id="ann")),
        from_search(SearchRequest(query="blue lamp", filter=ItemFilter(brands=["Acme"]))),
        from_recommend(RecommendRequest(user_id="ann", exclude_item_ids=["item-004"])),
        from_recommend(RecommendRequest()),
        from_similar(RecommendSimilarItemsRequest(item_id="item-004", user_id="ann")),
    ],
    ids=["search", "filtered", "user", "stranger", "similar"],
)
async def test_with_every_channel_in_time_candidates_are_those_of_training(
    serve: Serve, request_: RankingRequest
) -> None:
    async with serve(deadline_s=10.0) as shop:
        engine, trace = shop.gateway.engine, RequestTrace(shop.gateway.metrics)
        call = Call(request_, Deadline.start(None, 10.0, 0.0), trace)
        intent = await encode(engine, call, read_user(engine, call))
        recalled = await recall(engine, call, intent, None)

    indexes = engine.release.indexes
    selection = indexes.items.select(request_.item_filter, indexes.items.rows(request_.excluded))
    assert recalled.rows.tolist() == pool(indexes, intent.recall, request_.surface, selection).tolist()
    assert list(recalled.hits) == applicable_channels(indexes, intent.recall, request_.surface)
    assert not trace.degradations and len(recalled.rows) > 5


async def test_a_call_that_is_cancelled_while_its_filter_comes_through_ends(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as shop:
        engine = shop.gateway.engine
        request = from_recommend(RecommendRequest())
        call = Call(request, Deadline.start(None, 10.0, 0.0), RequestTrace(shop.gateway.metrics))
        intent = await encode(engine, call, read_user(engine, call))
        recalling = asyncio.create_task(recall(engine, call, intent, None))

        def select(*_: object) -> None:
            recalling.cancel()

        monkeypatch.setattr(ItemTable, "select", select)

        with pytest.raises(asyncio.CancelledError):
            await recalling


async def test_without_time_left_no_search_is_begun(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[object] = []
    monkeypatch.setattr(recall_module, "search", lambda *arguments: searched.append(arguments))
    async with serve() as shop:
        engine, trace = shop.gateway.engine, RequestTrace(shop.gateway.metrics)
        call = Call(from_recommend(RecommendRequest()), Deadline.start(0.0, 10.0, 0.0), trace)
        intent = await encode(engine, call, read_user(engine, call))
        recalled = await recall(engine, call, intent, None)

    assert trace.degradations == [("recall", "FILTER_LATE")]
    assert not searched and len(recalled.rows) == 0
