"""A gateway follows channels.json without a restart: no request fails, none is answered by two releases."""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from shopfuse.release.channels import Channels, write_channels
from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.recommendation_pb2 import RecommendResponse
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse_gateway.releases.follower import Follower
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from tests.gateway.answers import Answer, ids, refused
from tests.gateway.fake_triton import Behaviour
from tests.gateway.shop import Serve, Shop

SHOES = SearchRequest(query="red shoes", user_id="ann", page_size=20)


def is_of_one_release(response: SearchResponse | RecommendResponse) -> bool:
    """The fake ranker's scores tell the release that ranked: 100 n and a little."""
    return not response.degraded and {f"r{item.score // 100:.0f}" for item in response.items} == {
        response.served_by.release_id
    }


async def test_published_release_answers_without_a_restart(serve: Serve) -> None:
    async with serve() as shop:
        before = await shop.search(SHOES)
        age = shop.metric("shopfuse_index_age_seconds")
        await shop.publish(Channels(stable="r2", previous="r1"))
        after = await shop.search(SHOES)
        info = [shop.metric("shopfuse_release_info", release_id=name) for name in ("r1", "r2")]
        younger = age - shop.metric("shopfuse_index_age_seconds")
        mixed = shop.triton.fake.mixed

    assert (before.served_by.release_id, after.served_by.release_id) == ("r1", "r2")
    assert after.served_by.model_versions["fusion_ranker"] == 4
    assert is_of_one_release(before) and is_of_one_release(after) and mixed == []
    assert info == [0, 1] and younger == pytest.approx(86_400, abs=60)


async def test_request_in_flight_ends_on_its_release(serve: Serve) -> None:
    async with serve() as shop:
        fake = shop.triton.fake
        fake.gate.clear()
        calls = [shop.search(SearchRequest(query=f"red {n}", user_id="ann")) for n in range(8)]
        await shop.until(lambda: fake.calls.count("encode_query_r1") == 8)
        await shop.publish(Channels(stable="r2"))
        late = await shop.search(SHOES)
        held = shop.gateway.releases.held
        fake.gate.set()
        answers = await asyncio.gather(*calls)
        await shop.until(lambda: shop.gateway.releases.held == ("r2",))

    assert {answer.served_by.release_id for answer in answers} == {"r1"} and late.served_by.release_id == "r2"
    assert all(is_of_one_release(answer) for answer in (*answers, late)) and fake.mixed == []
    assert held == ("r1", "r2")


async def test_publishing_and_rolling_back_under_load_fails_no_request(serve: Serve) -> None:
    async with serve() as shop:
        done = asyncio.Event()

        async def client(number: int) -> list[SearchResponse | RecommendResponse]:
            answers: list[SearchResponse | RecommendResponse] = []
            while not done.is_set():
                request = SearchRequest(query=f"red shoes {len(answers) % 3}", user_id="ann" if number % 2 else "")
                answers.append(await shop.search(request))
                user = recommendation.RecommendRequest(user_id="ann")
                answers.append(await shop.recommend(user))
            return answers

        clients = [asyncio.create_task(client(number)) for number in range(4)]
        for stable, previous in (("r2", "r1"), ("r1", "r2"), ("r3", "r1"), ("r1", "r3"), ("r2", "r1")):
            await shop.publish(Channels(stable=stable, previous=previous))
            await more_calls(shop, 20)
        done.set()
        answers = [answer for of_client in await asyncio.gather(*clients) for answer in of_client]

    assert all(is_of_one_release(answer) for answer in answers) and shop.triton.fake.mixed == []
    assert {answer.served_by.release_id for answer in answers} == {"r1", "r2", "r3"}


async def more_calls(shop: Shop, count: int) -> None:
    """Returns once Triton was called so many times more."""
    enough = len(shop.triton.fake.calls) + count
    await shop.until(lambda: len(shop.triton.fake.calls) > enough)


async def test_pages_of_the_release_before_hold_until_it_is_closed(serve: Serve) -> None:
    async with serve() as shop:
        whole = await shop.search(SearchRequest(query="red shoes", user_id="ann", page_size=100))
        request = SearchRequest(query="red shoes", user_id="ann", page_size=20)
        pages = [await shop.search(request)]
        await shop.publish(Channels(stable="r2", previous="r1"))
        while pages[-1].next_page_token:
            request.page_token = pages[-1].next_page_token
            pages.append(await shop.search(request))
        await shop.publish(Channels(stable="r3", previous="r2"))
        refusal = await refused(shop.search(request))

    assert {page.served_by.release_id for page in pages} == {"r1"} and len(pages) == 3
    assert [item_id for page in pages for item_id in ids(page)] == ids(whole)
    assert all(is_of_one_release(page) for page in pages)
    assert refusal.code == grpc.StatusCode.ABORTED


async def test_restarted_gateway_still_knows_the_pages_of_the_release_before(serve: Serve) -> None:
    request = SearchRequest(query="red shoes", page_size=20)
    async with serve() as shop:
        request.page_token = (await shop.search(request)).next_page_token
        await shop.publish(Channels(stable="r2", previous="r1"))
    async with serve() as shop:
        await shop.until(lambda: "r1" in shop.gateway.releases.held)
        page = await shop.search(request)

    assert shop.channels.stable == "r2" and page.served_by.release_id == "r1" and len(page.items) == 20


async def test_requests_are_answered_while_a_release_opens(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    opening, may_open, opened = threading.Event(), threading.Event(), LoadedRelease.open

    def slow(workspace: Path, release_id: str, key: Path, held: Sequence[LoadedRelease] = ()) -> LoadedRelease:
        if release_id == "r2":
            opening.set()
            may_open.wait(20)
        return opened(workspace, release_id, key, held)

    monkeypatch.setattr(LoadedRelease, "open", slow)
    async with serve() as shop:
        publishing = asyncio.create_task(shop.publish(Channels(stable="r2")))
        await shop.until(opening.is_set)
        meanwhile = [await shop.search(SHOES) for _ in range(5)]
        may_open.set()
        await publishing
        after = await shop.search(SHOES)

    assert {answer.served_by.release_id for answer in meanwhile} == {"r1"} and after.served_by.release_id == "r2"


async def test_release_waits_for_its_models_in_triton(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counted_looks(monkeypatch)
    async with serve() as shop:
        shop.triton.fake.missing = {"rank_by_vector_r2"}
        write_channels(shop.gateway.settings.workspace, Channels(stable="r2", previous="r1"))
        await shop.until(lambda: shop.metric("shopfuse_release_refused_total", reason="models_not_ready"))
        before = len(looks)
        await shop.until(lambda: len(looks) > before + 3)
        waiting = await shop.search(SHOES)
        counted = shop.metric("shopfuse_release_refused_total", reason="models_not_ready")
        shop.triton.fake.missing = set()
        await shop.until(lambda: shop.channels.stable == "r2")

    assert waiting.served_by.release_id == "r1" and not waiting.degraded
    assert counted == 1  # once for the change, not for each look


@pytest.mark.parametrize("behaviour", ["failing", "nan", "misshaped"])
async def test_release_whose_models_answer_badly_is_not_taken(serve: Serve, behaviour: Behaviour) -> None:
    async with serve() as shop:
        shop.triton.fake.behaviour = behaviour
        write_channels(shop.gateway.settings.workspace, Channels(stable="r2", previous="r1"))
        await shop.until(lambda: shop.metric("shopfuse_release_refused_total", reason="models_not_ready"))
        refused = shop.channels.stable
        shop.triton.fake.behaviour = "healthy"
        await shop.until(lambda: shop.channels.stable == "r2")
        response = await shop.search(SHOES)

    assert refused == "r1" and is_of_one_release(response)


def counted_looks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows with every look at the pointer that ended."""
    looks: list[None] = []
    look = Follower.look

    async def counted(follower: Follower) -> None:
        await look(follower)
        looks.append(None)

    monkeypatch.setattr(Follower, "look", counted)
    return looks


async def test_follower_outlives_a_failing_look(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [RuntimeError("a bug")]
    look = Follower.look

    async def failing(follower: Follower) -> None:
        if failures:
            raise failures.pop()
        await look(follower)

    monkeypatch.setattr(Follower, "look", failing)
    async with serve() as shop:
        await shop.publish(Channels(stable="r2"))
        counted = shop.metric("shopfuse_release_refused_total", reason="internal")

    assert counted == 1


async def test_pinned_release_is_not_left(serve: Serve, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counted_looks(monkeypatch)
    write_channels(workspace, Channels(stable="r2", canary="r3", canary_share=1.0))
    async with serve(release_id="r1") as shop:
        response = await shop.search(SHOES)
        held = shop.gateway.releases.held

    assert response.served_by.release_id == "r1" and held == ("r1",) and looks == []


async def test_closed_release_lets_go_of_its_files(serve: Serve, copied: Path) -> None:
    async with serve() as shop:
        await shop.search(SHOES)
        mapped = mapped_files(copied / "releases" / "r1")
        await shop.publish(Channels(stable="r2"))
        await shop.search(SHOES)
        gc.collect()
        left = mapped_files(copied / "releases" / "r1")
        answers = shop.gateway.metrics.registry.get_sample_value(
            "shopfuse_release_answers_total", {"release_id": "r1", "outcome": "ok"}
        )
        timed = shop.metric("shopfuse_triton_request_seconds_count", model="encode_query_r1")

    assert any("semantic.faiss" in path for path in mapped) and any("lexical" in path for path in mapped)
    assert left == [] and answers is None and timed == 0


def mapped_files(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if f"{folder}/" in line]


async def test_release_whose_folder_vanishes_goes_on_answering(serve: Serve, copied: Path) -> None:
    async with serve() as shop:
        whole = await shop.search(SHOES)
        shutil.rmtree(copied / "releases" / "r1")
        again = await shop.search(SHOES)
        others: list[Answer] = [
            await shop.recommend(recommendation.RecommendRequest(user_id="ann")),
            await shop.similar(recommendation.RecommendSimilarItemsRequest(item_id="item-004")),
            await shop.search(SearchRequest(query="green lamp", filter={"brands": ["Acme"]})),
        ]
        health = await shop.health.Check(HealthCheckRequest())
        await shop.publish(Channels(stable="r2"))

    assert ids(again) == ids(whole) and not again.degraded
    assert all(other.items and not other.degraded for other in others)
    assert health.status == HealthCheckResponse.SERVING
