"""What a shop's backend sees: the four calls on a trained shop, through the real gateway and the real Triton."""

from __future__ import annotations

import grpc
import polars as pl
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import Client, call, timed_call
from shopfuse.local.stack import Stack
from shopfuse.v1.item_pb2 import ItemFilter, RequestContext
from shopfuse.v1.recommendation_pb2 import RankItemsRequest, RecommendRequest, RecommendSimilarItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest

TIMEOUT_S = 10.0


def ids(response: object) -> list[str]:
    return [item.item_id for item in response.items]  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def query(shop: Workspace) -> str:
    """A query that the truth has answers for."""
    return str(pl.read_parquet(shop.paths.search_truth)["query"][0])


def test_search_answers_with_reasons_release_and_stage_times(client: Client, query: str, users: list[str]) -> None:
    request = SearchRequest(query=query, user_id=users[0], explain=True)

    answer, timing = timed_call(client.searches.Search, request, TIMEOUT_S)

    assert len(answer.items) == 20
    assert not answer.degraded, answer.degradations
    assert answer.served_by.release_id == "r1"
    assert set(answer.items[0].task_scores) == {"click", "cart", "purchase"}
    assert answer.items[0].explanation.reasons
    assert sum(answer.items[0].explanation.modality_weights.values()) == pytest.approx(1.0, abs=1e-3)
    assert [item.score for item in answer.items] == sorted((item.score for item in answer.items), reverse=True)
    assert all(stage in timing for stage in ("features", "encode", "recall", "rank"))


def test_users_are_answered_differently(client: Client, users: list[str]) -> None:
    lists = {
        tuple(ids(call(client.recommendations.Recommend, RecommendRequest(user_id=user), TIMEOUT_S)))
        for user in users[:5]
    }

    assert len(lists) == 5


def test_a_stranger_gets_what_is_popular(client: Client) -> None:
    answer = call(
        client.recommendations.Recommend, RecommendRequest(user_id="nobody-knows-me", explain=True), TIMEOUT_S
    )

    assert len(answer.items) == 20
    assert not answer.degraded
    assert {channel.channel for channel in answer.items[0].recall_channels} == {"popular"}


def test_the_scene_of_the_request_changes_the_order(client: Client, users: list[str]) -> None:
    usual = call(client.recommendations.Recommend, RecommendRequest(user_id=users[0]), TIMEOUT_S)
    scene = RecommendRequest(user_id=users[0], context=RequestContext(scene="holiday"))
    holiday = call(client.recommendations.Recommend, scene, TIMEOUT_S)

    assert [item.score for item in usual.items] != [item.score for item in holiday.items]


def test_similar_items_leave_the_seed_out(client: Client, item_ids: list[str]) -> None:
    answer = call(
        client.recommendations.RecommendSimilarItems, RecommendSimilarItemsRequest(item_id=item_ids[0]), TIMEOUT_S
    )

    assert len(answer.items) == 20
    assert item_ids[0] not in ids(answer)


@pytest.mark.parametrize("with_query", [False, True])
def test_rank_items_returns_each_candidate_once(
    client: Client, item_ids: list[str], users: list[str], query: str, with_query: bool
) -> None:
    candidates = [*item_ids[:30], "never-heard-of"]
    request = RankItemsRequest(item_ids=candidates, user_id=users[0], query=query if with_query else "")

    answer = call(client.recommendations.RankItems, request, TIMEOUT_S)

    assert sorted(ids(answer)) == sorted(candidates)
    assert ids(answer)[-1] == "never-heard-of"
    assert not answer.degraded


def test_the_same_request_has_the_same_answer(client: Client, query: str, users: list[str]) -> None:
    request = SearchRequest(query=query, user_id=users[1])

    first = call(client.searches.Search, request, TIMEOUT_S)
    second = call(client.searches.Search, request, TIMEOUT_S)

    assert ids(first) == ids(second)


def test_pages_follow_each_other_without_gap_or_repeat(client: Client, query: str, users: list[str]) -> None:
    whole = call(client.searches.Search, SearchRequest(query=query, user_id=users[0], page_size=30), TIMEOUT_S)
    pages: list[str] = []
    token = ""
    for _ in range(3):
        request = SearchRequest(query=query, user_id=users[0], page_size=10, page_token=token)
        page = call(client.searches.Search, request, TIMEOUT_S)
        pages += ids(page)
        token = page.next_page_token

    assert pages == ids(whole)


def test_a_narrow_filter_still_fills_the_page(client: Client, shop: Workspace, users: list[str]) -> None:
    items = shop.items().collect()
    brand = items["brand"].drop_nulls().mode().sort()[0]
    members = set(items.filter((items["brand"] == brand) & items["available"])["item_id"].to_list())
    request = RecommendRequest(user_id=users[0], filter=ItemFilter(brands=[brand]), page_size=100)

    answer = call(client.recommendations.Recommend, request, TIMEOUT_S)

    assert set(ids(answer)) <= members
    assert len(ids(answer)) == min(len(members), 100)


def test_a_filter_that_matches_nothing_gives_an_honest_empty_list(client: Client, query: str) -> None:
    request = SearchRequest(query=query, filter=ItemFilter(brands=["No Such Brand"]))

    answer = call(client.searches.Search, request, TIMEOUT_S)

    assert not answer.items
    assert not answer.degraded
    assert not answer.next_page_token


def test_health_and_reflection_tell_what_is_served(stack: Stack) -> None:
    with grpc.insecure_channel(stack.endpoints.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        check = health_pb2.HealthCheckRequest(service="shopfuse.v1.SearchService")
        status = health.Check(check, timeout=TIMEOUT_S).status
        first = next(iter(health.Watch(check, timeout=TIMEOUT_S))).status
        services = ProtoReflectionDescriptorDatabase(channel).get_services()

    assert status == first == health_pb2.HealthCheckResponse.SERVING
    assert {f"shopfuse.v1.{name}Service" for name in ("Search", "Recommendation", "Text")} <= set(services)
