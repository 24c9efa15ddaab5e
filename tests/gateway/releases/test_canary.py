"""A canary answers its share of the users, always the same ones, until it is promoted or taken back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TypeVar

import grpc
import pytest

from shopfuse.release.channels import Channels
from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.answers import Answer, refused
from tests.gateway.shop import Method, Serve, Shop

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

AT_ONCE = 50
USERS = [f"user-{number}" for number in range(2000)]


def canary(share: float) -> Channels:
    return Channels(stable="r1", canary="r2", canary_share=share)


async def all_answers(method: Method[RequestT, ResponseT], requests: Sequence[RequestT]) -> list[ResponseT]:
    answers: list[ResponseT] = []
    for start in range(0, len(requests), AT_ONCE):
        answers += await asyncio.gather(*map(method, requests[start : start + AT_ONCE]))
    return answers


async def releases_of(shop: Shop, requests: Sequence[recommendation.RankItemsRequest]) -> list[str]:
    """Which release answered each request."""
    return [answer.served_by.release_id for answer in await all_answers(shop.rank, requests)]


def request_of(user_id: str = "", session_id: str = "") -> recommendation.RankItemsRequest:
    """A request that needs no model: its only item is unknown."""
    return recommendation.RankItemsRequest(item_ids=["unknown"], user_id=user_id, session_id=session_id)


async def test_canary_gets_its_share_of_the_users_and_keeps_them(serve: Serve) -> None:
    share = 0.3
    async with serve() as shop:
        await shop.publish(canary(share))
        releases = await releases_of(shop, [request_of(user_id=user) for user in USERS])
        again = await releases_of(shop, [request_of(user_id=user, session_id=f"s-{user}") for user in USERS[:200]])
    canaries, spread = releases.count("r2"), math.sqrt(len(USERS) * share * (1 - share))

    assert abs(canaries - share * len(USERS)) < 4 * spread and set(releases) == {"r1", "r2"}
    assert again == releases[:200]
    assert releases == [canary(share).of(user) for user in USERS]  # as any other gateway would


async def test_guests_stay_by_session_and_the_nameless_are_spread(serve: Serve) -> None:
    async with serve() as shop:
        await shop.publish(canary(0.5))
        first = await releases_of(shop, [request_of(session_id=f"s{number}") for number in range(100)])
        again = await releases_of(shop, [request_of(session_id=f"s{number}") for number in range(100)])
        nameless = await releases_of(shop, [request_of() for _ in range(200)])

    assert first == again and set(first) == {"r1", "r2"}
    assert 60 < nameless.count("r2") < 140  # 5.7 standard deviations


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (canary(0.0), {"r1"}),
        (canary(1.0), {"r2"}),
        (Channels(stable="r1", canary="r1", canary_share=0.5), {"r1"}),
    ],
)
async def test_edges_of_a_canary(serve: Serve, channels: Channels, expected: set[str]) -> None:
    async with serve() as shop:
        await shop.publish(channels)
        requests = [request_of(user_id=user) for user in USERS[:40]] + [request_of() for _ in range(10)]
        releases = await releases_of(shop, requests)

    assert set(releases) == expected


async def test_no_answer_mixes_the_canary_with_the_stable_release(serve: Serve) -> None:
    async with serve() as shop:
        await shop.publish(canary(0.5))
        requests = [SearchRequest(query=f"red {number % 2}", user_id=f"user-{number}") for number in range(40)]
        requests += [SearchRequest(query="green lamp") for _ in range(40)]
        answers: list[Answer] = [*await all_answers(shop.search, requests)]
        users = [recommendation.RecommendRequest(user_id="ann", session_id="s") for _ in range(20)]
        answers += await all_answers(shop.recommend, users)
    by_release = {answer.served_by.release_id: answer.items[0].score // 100 for answer in answers}

    assert by_release == {"r1": 1, "r2": 2} and not any(answer.degraded for answer in answers)
    assert all(answer.items[0].score // 100 == by_release[answer.served_by.release_id] for answer in answers)
    assert shop.triton.fake.mixed == []


async def test_promoted_canary_answers_everybody_at_once(serve: Serve) -> None:
    async with serve() as shop:
        await shop.publish(canary(0.2))
        before = await releases_of(shop, [request_of(user_id=user) for user in USERS[:40]])
        shop.triton.fake.missing = {"fusion_ranker"}  # it is answering already: Triton is not asked again
        await shop.publish(Channels(stable="r2", previous="r1"))
        after = await releases_of(shop, [request_of(user_id=user) for user in USERS[:40]])

    assert set(before) == {"r1", "r2"} and set(after) == {"r2"}


async def test_canary_taken_back_ends_its_pages(serve: Serve) -> None:
    async with serve() as shop:
        await shop.publish(canary(1.0))
        request = SearchRequest(query="red shoes", user_id="ann", page_size=5)
        request.page_token = (await shop.search(request)).next_page_token
        page = await shop.search(request)
        await shop.publish(Channels(stable="r1"))
        refusal = await refused(shop.search(request))
        releases = await releases_of(shop, [request_of(user_id=user) for user in USERS[:20]])

    assert page.served_by.release_id == "r2" and set(releases) == {"r1"}
    assert refusal.code == grpc.StatusCode.ABORTED


async def test_user_who_becomes_a_canary_reads_on_where_the_pages_began(serve: Serve) -> None:
    async with serve() as shop:
        request = SearchRequest(query="red shoes", user_id="ann", page_size=5)
        request.page_token = (await shop.search(request)).next_page_token
        await shop.publish(canary(1.0))
        page = await shop.search(request)
        first = await shop.search(SearchRequest(query="red shoes", user_id="ann", page_size=5))

    assert (page.served_by.release_id, first.served_by.release_id) == ("r1", "r2")


async def test_broken_canary_degrades_its_own_users_only(serve: Serve) -> None:
    async with serve(breaker_failures=1, breaker_retry_s=60.0) as shop:
        await shop.publish(canary(0.5))
        shop.triton.fake.broken = {2}
        requests = [recommendation.RankItemsRequest(item_ids=["item-001"], user_id=user) for user in USERS[:20]]
        answers = [await shop.rank(request) for request in requests]
        counted = {
            (release_id, outcome): shop.metric("shopfuse_release_answers_total", release_id=release_id, outcome=outcome)
            for release_id in ("r1", "r2")
            for outcome in ("ok", "degraded")
        }
    degraded = {answer.served_by.release_id for answer in answers if answer.degraded}
    whole = {answer.served_by.release_id for answer in answers if not answer.degraded}

    assert degraded == {"r2"} and whole == {"r1"}  # though both rank with versions of the same model
    assert counted[("r1", "degraded")] == counted[("r2", "ok")] == 0
    assert counted[("r1", "ok")] + counted[("r2", "degraded")] == len(answers)
