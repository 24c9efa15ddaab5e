"""What the four methods answer over a healthy Triton."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from shopfuse.v1 import item_pb2
from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.answers import codes, ids, refused
from tests.gateway.release_edits import edit_manifest
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import NOW

RankRequest = recommendation.RankItemsRequest


async def test_search_is_ordered_by_the_ranker(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="red shoes", page_size=100))

    assert not response.degraded and not response.degradations
    assert len(ids(response)) == len(set(ids(response))) == 59  # all but the one that cannot be bought
    assert ids(response) == sorted(ids(response), reverse=True)  # the fake ranker prefers dear items
    assert [item.score for item in response.items] == sorted((item.score for item in response.items), reverse=True)
    assert response.request_id and not response.next_page_token
    assert response.served_by.release_id == "r1" and response.served_by.model_versions["fusion_ranker"] == 3


async def test_item_carries_what_a_shop_shows(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="red shoes"))
    item = response.items[0]

    assert (item.item_id, item.title, item.price, item.currency) == ("item-058", "blue jacket", 68.0, "EUR")
    assert set(item.task_scores) == {"click", "purchase"}  # the tasks of the release, no others
    assert item.score == pytest.approx(item.task_scores["click"], rel=1e-6)
    assert not item.HasField("explanation")


async def test_recall_channels_are_those_that_found_the_item(serve: Serve) -> None:
    async with serve(per_channel=3) as shop:
        response = await shop.search(SearchRequest(query="red shoes"))
    by_channel: dict[str, list[float]] = {}
    for item in response.items:
        assert item.recall_channels
        for hit in item.recall_channels:
            by_channel.setdefault(hit.channel, []).append(hit.score)

    assert {name: len(scores) for name, scores in by_channel.items()} == {"lexical": 3, "semantic": 3, "behaviour": 3}
    assert all(score > 0 for score in by_channel["lexical"])


async def test_an_encoded_query_is_not_encoded_again(serve: Serve) -> None:
    async with serve() as shop:
        first = await shop.search(SearchRequest(query="red shoes"))
        second = await shop.search(SearchRequest(query="  RED\u00a0shoes "))  # normalises to another spelling of case
        third = await shop.search(SearchRequest(query="red \t shoes"))

    assert ids(first) == ids(second) == ids(third)
    assert shop.triton.fake.calls.count("encode_query_r1") == 2


async def test_known_user_is_recommended_what_is_like_the_history(serve: Serve) -> None:
    request = recommendation.RecommendRequest(user_id="ann", explain=True, page_size=100)
    async with serve() as shop:
        response = await shop.recommend(request)
    reasons = {code for item in response.items for code in codes(item)}

    assert not response.degraded
    assert {"SIMILAR_TO_HISTORY", "OFTEN_TOGETHER", "BRAND_YOU_LIKE"} <= reasons
    assert shop.triton.fake.calls == ["user_tower", "fusion_ranker"]


async def test_a_request_of_an_earlier_moment_knows_nothing_that_came_after(serve: Serve) -> None:
    before_all = recommendation.RecommendRequest(
        user_id="ann", context=item_pb2.RequestContext(time=Timestamp(seconds=int(NOW))), page_size=100
    )
    after_all = recommendation.RecommendRequest(
        user_id="ann", context=item_pb2.RequestContext(time=Timestamp(seconds=int(NOW) + 61)), page_size=100
    )
    async with serve() as shop:
        stranger = await shop.recommend(recommendation.RecommendRequest(page_size=100))
        earlier = await shop.recommend(before_all)
        calls_before = list(shop.triton.fake.calls)
        await shop.recommend(after_all)

    assert ids(earlier) == ids(stranger)
    assert "user_tower" not in calls_before and "user_tower" in shop.triton.fake.calls


async def test_search_of_a_known_user_takes_one_call_for_user_and_rank(serve: Serve) -> None:
    async with serve() as shop:
        await shop.search(SearchRequest(query="red shoes", user_id="ann"))

    assert shop.triton.fake.calls == ["encode_query_r1", "rank_by_vector_r1"]


@pytest.mark.parametrize("user", ["", "nobody", "ünknown 用户"])
async def test_stranger_is_recommended_what_is_popular(serve: Serve, user: str) -> None:
    async with serve(per_channel=5) as shop:
        response = await shop.recommend(recommendation.RecommendRequest(user_id=user, explain=True))

    assert not response.degraded
    assert sorted(ids(response)) == [f"item-{i:03d}" for i in range(5)]
    assert all("POPULAR" in codes(item) for item in response.items)


async def test_similar_items_leave_out_the_item_itself(serve: Serve) -> None:
    request = recommendation.RecommendSimilarItemsRequest(item_id="item-004", explain=True, page_size=100)
    async with serve() as shop:
        response = await shop.similar(request)
    together = [item.item_id for item in response.items if "OFTEN_TOGETHER" in codes(item)]

    assert not response.degraded and "item-004" not in ids(response) and len(ids(response)) == 58
    assert sorted(together) == ["item-000", "item-008", "item-012"]


async def test_channels_order_similar_items_where_the_ranker_did_not_learn_to(copied: Path, serve: Serve) -> None:
    edit_manifest(copied, "r1", ranks_similar=False)
    async with serve() as shop:
        response = await shop.similar(recommendation.RecommendSimilarItemsRequest(item_id="item-004", page_size=100))
        ranked = await shop.recommend(recommendation.RecommendRequest(user_id="ann"))
        calls = list(shop.triton.fake.calls)
    scores = [item.score for item in response.items]

    assert not response.degraded and scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
    assert not any(item.task_scores for item in response.items)
    assert len(calls) == 2 and ranked.items[0].task_scores  # the two of the recommendation


async def test_similar_of_an_unknown_item_is_not_found(serve: Serve) -> None:
    async with serve() as shop:
        refusal = await refused(shop.similar(recommendation.RecommendSimilarItemsRequest(item_id="no-such-item")))

    assert refusal.code == grpc.StatusCode.NOT_FOUND


async def test_rank_gives_every_item_back_unknown_ones_last(serve: Serve) -> None:
    item_ids = ["zzz", "item-001", "item-059", "ärger", "item-030", "aaa"]
    async with serve() as shop:
        response = await shop.rank(RankRequest(item_ids=item_ids))

    assert ids(response) == ["item-059", "item-030", "item-001", "zzz", "ärger", "aaa"]
    assert [item.score for item in response.items] == sorted((item.score for item in response.items), reverse=True)


async def test_rank_of_unknown_items_alone_keeps_their_order(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.rank(RankRequest(item_ids=["b", "a"], query="red shoes", user_id="ann"))

    assert ids(response) == ["b", "a"] and not response.degraded


async def test_rank_and_search_give_an_item_the_same_score(serve: Serve) -> None:
    async with serve() as shop:
        searched = await shop.search(SearchRequest(query="red shoes", user_id="ann", page_size=100))
        ranked = await shop.rank(RankRequest(item_ids=sorted(ids(searched)), query="red shoes", user_id="ann"))

    assert ids(ranked) == ids(searched)
    np.testing.assert_allclose([i.score for i in ranked.items], [i.score for i in searched.items], rtol=1e-5)


@pytest.mark.parametrize(("user", "model"), [("", "fusion_ranker"), ("ann", "rank_by_vector_r1")])
async def test_rank_without_a_query_is_one_call(serve: Serve, user: str, model: str) -> None:
    async with serve() as shop:
        response = await shop.rank(RankRequest(item_ids=["item-001", "item-030"], user_id=user))

    assert ids(response) == ["item-030", "item-001"] and not response.degraded
    assert shop.triton.fake.calls == [model]


async def test_rank_of_512_items_is_one_call(serve: Serve) -> None:
    item_ids = [f"item-{i:03d}" for i in range(59)] + [f"unknown-{i}" for i in range(453)]
    async with serve() as shop:
        response = await shop.rank(RankRequest(item_ids=item_ids))

    assert sorted(ids(response)) == sorted(item_ids)
    assert shop.triton.fake.calls == ["fusion_ranker"]


async def test_filter_holds_for_every_item_and_fills_the_page(serve: Serve) -> None:
    wanted = item_pb2.ItemFilter(brands=["acme"], categories=["Shop > Shoes"], min_price=20, max_price=60)
    wanted.attributes.add(name="colour", values=["red", "blue"])
    async with serve(per_channel=50) as shop:
        response = await shop.search(SearchRequest(query="green lamp", filter=wanted))

    expected = [i for i in range(60) if i % 2 == 0 and i % 4 == 0 and 20 <= 10 + i <= 60 and i % 3 < 2]
    assert sorted(ids(response)) == [f"item-{i:03d}" for i in expected]


async def test_what_the_user_bought_is_found_but_not_recommended(serve: Serve) -> None:
    async with serve() as shop:
        recommended = await shop.recommend(recommendation.RecommendRequest(user_id="bob", page_size=100))
        searched = await shop.search(SearchRequest(query="red shoes", user_id="bob", page_size=100))

    assert "item-010" not in ids(recommended)
    assert "item-000" in ids(recommended)
    assert "item-010" in ids(searched)


async def test_unavailable_items_come_back_only_on_request(serve: Serve) -> None:
    wanted = item_pb2.ItemFilter(min_price=68, include_unavailable=True)
    async with serve() as shop:
        response = await shop.recommend(recommendation.RecommendRequest(filter=wanted))

    assert ids(response) == ["item-059", "item-058"]


async def test_excluded_items_stay_out(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="lamp", exclude_item_ids=["item-058", "unknown"]))

    assert ids(response)[0] == "item-057"


async def test_filter_that_matches_nothing_gives_an_honest_empty_list(serve: Serve) -> None:
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="lamp", filter=item_pb2.ItemFilter(brands=["No Such Brand"])))

    assert ids(response) == [] and not response.degraded and not response.next_page_token


async def test_reasons_and_modality_weights_explain_an_item(serve: Serve) -> None:
    async with serve() as shop:
        call = shop.search(SearchRequest(query="red shoes", explain=True, page_size=100))
        response = await call
        trailing = dict(await call.trailing_metadata())
    red_shoes = next(item for item in response.items if item.title == "red shoes")
    others = [item for item in response.items if item.title == "green lamp"]

    assert "MATCHES_QUERY" in codes(red_shoes) and not any("MATCHES_QUERY" in codes(item) for item in others)
    assert sum(red_shoes.explanation.modality_weights.values()) == pytest.approx(1.0, abs=1e-5)
    assert all(f"{stage};dur=" in trailing["server-timing"] for stage in ("recall", "rank"))


async def test_equal_requests_get_equal_answers(serve: Serve) -> None:
    async with serve() as shop:
        answers = await asyncio.gather(*(shop.search(SearchRequest(query="blue teapot")) for _ in range(8)))

    assert len({tuple((item.item_id, item.score) for item in answer.items) for answer in answers}) == 1
    assert len({answer.request_id for answer in answers}) == 8


@pytest.mark.parametrize("ranked", [True, False])
async def test_an_item_that_the_query_names_by_its_number_leads(serve: Serve, ranked: bool) -> None:
    async with serve() as shop:
        if not ranked:
            await shop.triton.stop()
        response = await shop.search(SearchRequest(query="red shoes item 007"))

    assert response.degraded != ranked
    assert ids(response)[0] == "item-007"
    assert [item.score for item in response.items] == sorted((item.score for item in response.items), reverse=True)
