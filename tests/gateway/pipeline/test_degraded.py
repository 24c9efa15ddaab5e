"""A part that fails or is late costs quality, never the answer; and the answer says so."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from shopfuse.recall.lexical import LexicalIndex
from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.answers import degradations
from tests.gateway.fake_triton import Behaviour
from tests.gateway.shop import Serve, Shop

QUERY = SearchRequest(query="red shoes", user_id="ann")
WITHOUT_MODELS = {("encode", "QUERY_ENCODER_UNAVAILABLE"), ("rank", "RANKER_UNAVAILABLE")}


async def test_without_triton_a_search_answers_by_its_words(serve: Serve) -> None:
    async with serve() as shop:
        await shop.triton.stop()
        response = await shop.search(QUERY)

    assert degradations(response) == WITHOUT_MODELS
    assert [item.title for item in response.items][:5] == ["red shoes"] * 5
    assert not response.items[0].task_scores


async def test_without_triton_every_method_answers(serve: Serve) -> None:
    async with serve() as shop:
        await shop.triton.stop()
        user = await shop.recommend(recommendation.RecommendRequest(user_id="ann"))
        stranger = await shop.recommend(recommendation.RecommendRequest())
        similar = await shop.similar(recommendation.RecommendSimilarItemsRequest(item_id="item-004"))
        ranked = await shop.rank(recommendation.RankItemsRequest(item_ids=["item-050", "item-001", "zzz"]))

    assert degradations(user) == {("encode", "USER_ENCODER_UNAVAILABLE"), ("rank", "RANKER_UNAVAILABLE")}
    assert degradations(stranger) == degradations(similar) == degradations(ranked) == {("rank", "RANKER_UNAVAILABLE")}
    assert user.items and similar.items and stranger.items[0].item_id == "item-000"  # the most popular
    assert [item.item_id for item in ranked.items] == ["item-001", "item-050", "zzz"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("hanging", "LATE"), ("failing", "UNAVAILABLE"), ("nan", "INVALID_OUTPUT"), ("misshaped", "INVALID_OUTPUT")],
)
async def test_misbehaving_triton_degrades_within_the_deadline(serve: Serve, behaviour: Behaviour, reason: str) -> None:
    async with serve(reserve_s=0.3) as shop:
        shop.triton.fake.behaviour = behaviour
        response = await shop.search(QUERY, timeout=1.5)  # raises where the answer comes later

    assert degradations(response) == {("encode", f"QUERY_ENCODER_{reason}"), ("rank", f"RANKER_{reason}")}
    assert response.items[0].title == "red shoes"
    assert "10.0.0.7" not in str(response)


async def test_client_without_a_deadline_gets_the_default_one(serve: Serve) -> None:
    async with serve(deadline_s=0.3) as shop:
        shop.triton.fake.behaviour = "hanging"
        async with asyncio.timeout(3.0):  # ten times the deadline, for a machine that does other things
            response = await shop.search(QUERY)

    assert response.degraded


async def test_open_circuit_costs_nothing_and_full_answers_return(serve: Serve) -> None:
    async with serve(deadline_s=1.0, breaker_failures=2, breaker_retry_s=2.0) as shop:
        shop.triton.fake.behaviour = "hanging"
        late = degradations(await shop.search(QUERY))
        while not degradations(await shop.search(QUERY)) >= WITHOUT_MODELS:
            pass
        calls = len(shop.triton.fake.calls)
        in_open_circuit = degradations(await shop.search(QUERY))
        tried_in_open_circuit = len(shop.triton.fake.calls) - calls
        shop.triton.fake.behaviour = "healthy"
        await until_whole(shop)

    assert late >= {("encode", "QUERY_ENCODER_LATE"), ("rank", "RANKER_LATE")}
    assert in_open_circuit >= WITHOUT_MODELS and tried_in_open_circuit == 0  # nobody waited for the hanging Triton


async def until_whole(shop: Shop) -> None:
    """Returns once an answer is whole again."""
    while (await shop.search(QUERY)).degraded:
        pass


async def test_triton_killed_under_load_costs_no_call_and_comes_back(serve: Serve) -> None:
    async with serve(reserve_s=1.0) as shop:
        done = asyncio.Event()

        async def client(number: int) -> list[bool]:
            answers: list[bool] = []
            while not done.is_set():
                answer = await shop.search(SearchRequest(query=f"red shoes {number} {len(answers)}"), timeout=5.0)
                answers.append(answer.degraded)
            return answers

        clients = [asyncio.create_task(client(number)) for number in range(4)]
        while len(shop.triton.fake.calls) < 20:
            await shop.search(QUERY)
        await shop.triton.stop()
        while shop.metric("shopfuse_degraded_total", stage="rank", reason="RANKER_UNAVAILABLE") < 20:
            await shop.search(QUERY)
        await shop.triton.start()
        async with asyncio.timeout(25.0):  # a try each second, at worst
            await until_whole(shop)
        done.set()
        answers = [degraded for answers in await asyncio.gather(*clients) for degraded in answers]

    assert any(answers) and not all(answers)


async def test_without_a_store_answers_come_without_personal_touch(serve: Serve, workspace: Path) -> None:
    (workspace / "state" / "store.lmdb").unlink()
    async with serve() as shop:
        response = await shop.search(QUERY)

    assert degradations(response) == {
        ("features", "STORE_UNAVAILABLE"),
        ("item_features", "STORE_UNAVAILABLE"),
        ("item_features", "DISPLAY_UNAVAILABLE"),
    }
    assert response.items and not response.items[0].title


async def test_failing_channel_is_done_without(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("index page lost")

    monkeypatch.setattr(LexicalIndex, "search", broken)
    monkeypatch.setattr(LexicalIndex, "score", broken)
    async with serve() as shop:
        response = await shop.search(QUERY)
        counted = shop.metric("shopfuse_degraded_total", stage="recall", reason="LEXICAL_FAILED")

    assert degradations(response) == {("recall", "LEXICAL_FAILED")} and counted == 1
    assert {hit.channel for item in response.items for hit in item.recall_channels} == {"semantic", "behaviour"}


async def test_failing_channel_scores_fall_back_to_what_was_found(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("index page lost")

    monkeypatch.setattr(LexicalIndex, "score", broken)
    async with serve() as shop:
        response = await shop.search(QUERY)

    assert degradations(response) == {("item_features", "CHANNEL_SCORES_FAILED")} and response.items


async def test_hanging_channel_is_done_without(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(LexicalIndex, "search", lambda *_: gate.wait(20))
    async with serve(reserve_s=0.3) as shop:
        response = await shop.search(QUERY, timeout=1.5)  # raises where the answer comes later
        gate.set()

    assert ("recall", "LEXICAL_LATE") in degradations(response) and response.items


async def test_degradations_are_counted(serve: Serve) -> None:
    async with serve() as shop:
        shop.triton.fake.behaviour = "nan"
        await shop.search(QUERY)
        counted = shop.metric("shopfuse_degraded_total", stage="rank", reason="RANKER_INVALID_OUTPUT")

    assert counted == 1
