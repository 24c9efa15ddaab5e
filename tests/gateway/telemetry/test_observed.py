"""What operators see: metrics on their HTTP port, and the log of impressions."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import urllib.request
from pathlib import Path
from typing import TypedDict

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import FEATURES
from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.telemetry import impression_log as impressions
from shopfuse_gateway.telemetry.impression_log import Impression
from tests.gateway.shop import Serve, Shop

NAMES = (
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds_bucket",
    "shopfuse_stage_duration_seconds_bucket",
    "shopfuse_degraded_total",
    "shopfuse_inflight_requests",
    "shopfuse_shed_total",
    "shopfuse_candidates_bucket",
    "shopfuse_cache_events_total",
    "shopfuse_feature_missing_total",
    "shopfuse_feature_age_seconds_bucket",
    "shopfuse_index_age_seconds",
    "shopfuse_release_info",
    "shopfuse_triton_request_seconds_bucket",
)


class Logged(TypedDict):
    """The fields of a line that are looked at here."""

    request_id: str
    user_id: str
    position: int
    item_ids: list[str]
    scores: str
    features: str
    channel_scores: str
    channel_mask: str


def logged(workspace: Path) -> list[Logged]:
    """The impressions, once the gateway is closed."""
    files = sorted((workspace / "impressions").glob("date=*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


async def exposition(shop: Shop) -> str:
    url = f"http://127.0.0.1:{shop.gateway.metrics_port}/metrics"
    text: str = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30).read().decode())
    return text


async def test_metrics_have_their_names_and_hold_no_ids(serve: Serve) -> None:
    async with serve(max_in_flight=1) as shop:
        searches = [shop.search(SearchRequest(query=f"red secretword {n}", user_id="secretuser")) for n in range(3)]
        await asyncio.gather(*searches, return_exceptions=True)
        await shop.triton.stop()
        await shop.rank(recommendation.RankItemsRequest(item_ids=["item-001", "secretitem"]))
        text = await exposition(shop)

    assert [name for name in NAMES if f"\n{name}" not in text] == []
    assert "secret" not in text
    assert 'shopfuse_release_info{release_id="r1"} 1.0' in text


async def test_every_stage_is_timed_and_every_code_is_there_from_the_start(serve: Serve) -> None:
    async with serve() as shop:
        before = await exposition(shop)
        await shop.search(SearchRequest(query="red shoes"))
        text = await exposition(shop)

    for method in ("Search", "Recommend", "RecommendSimilarItems", "RankItems"):
        assert f'grpc_code="ResourceExhausted",grpc_method="{method}"' in before
    for stage in ("features", "encode", "recall", "item_features", "rank", "policy"):
        assert f'shopfuse_stage_duration_seconds_count{{stage="{stage}"}} 1.0' in text


def numbers(text: str, items: int) -> NDArray[np.float32]:
    """A table of a logged line, [items, columns]."""
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(items, -1)


async def test_shown_items_are_logged_with_what_they_were_ranked_by(serve: Serve, workspace: Path) -> None:
    async with serve() as shop:
        first = await shop.search(SearchRequest(query="red shoes", user_id="ann", session_id="s1", page_size=5))
        request = SearchRequest(query="red shoes", user_id="ann", session_id="s1", page_size=5)
        request.page_token = first.next_page_token
        await shop.search(request)
    lines = logged(workspace)

    assert [line["position"] for line in lines] == [0, 5]
    assert lines[0]["request_id"] == first.request_id and lines[0]["user_id"] == "ann"
    assert lines[0]["item_ids"] == [item.item_id for item in first.items]
    assert numbers(lines[0]["scores"], 5).ravel() == pytest.approx([item.score for item in first.items])
    assert numbers(lines[0]["features"], 5).shape == (5, len(FEATURES))
    assert numbers(lines[0]["channel_scores"], 5).shape == (5, len(CHANNELS))
    assert set(numbers(lines[0]["channel_mask"], 5).ravel()) <= {0.0, 1.0}


async def test_impressions_can_be_off(serve: Serve, workspace: Path) -> None:
    async with serve(log_impressions=False) as shop:
        await shop.search(SearchRequest(query="red shoes"))

    assert logged(workspace) == []


async def test_impressions_that_cannot_be_written_are_counted_and_cost_no_answer(serve: Serve, workspace: Path) -> None:
    (workspace / "impressions").write_text("a file where the folder should be")
    async with serve() as shop:
        response = await shop.search(SearchRequest(query="red shoes"))
    dropped = shop.metric("shopfuse_impressions_dropped_total", reason="disk")

    assert response.items and dropped == 1


async def test_full_queue_drops_and_counts(serve: Serve, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing, may_write, line = threading.Event(), threading.Event(), Impression.line

    def held_up(impression: Impression) -> bytes:
        writing.set()
        may_write.wait(20)
        return line(impression)

    monkeypatch.setattr(Impression, "line", held_up)
    monkeypatch.setattr(impressions, "QUEUE", 2)
    async with serve() as shop:
        await shop.search(SearchRequest(query="red shoes"))
        await shop.until(writing.is_set)
        for _ in range(5):
            await shop.search(SearchRequest(query="red shoes"))
        dropped = shop.metric("shopfuse_impressions_dropped_total", reason="queue_full")
        may_write.set()

    assert dropped == 3 and len(logged(workspace)) == 3
