"""What tells how good answers are, beside how fast: each metric moves by a real request."""

from __future__ import annotations

import asyncio
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from shopfuse.release.channels import Channels
from shopfuse.v1.item_pb2 import ItemFilter
from shopfuse.v1.recommendation_pb2 import RankItemsRequest, RecommendRequest
from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.shop import Serve, Shop
from tests.gateway.telemetry.caller import SAMPLED, TRACE, search_as
from tests.otlp import Collector

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
NOTHING = ItemFilter(brands=["no such brand"])


async def scrape(shop: Shop, accept: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{shop.gateway.metrics_port}/metrics", headers={"Accept": accept}
    )
    text: str = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=30).read().decode())
    return text


async def test_answers_without_an_item_are_counted_for_each_method(serve: Serve) -> None:
    async with serve() as shop:
        before = await scrape(shop, "text/plain")
        await shop.search(SearchRequest(query="red shoes"))
        await shop.search(SearchRequest(query="red shoes", filter=NOTHING))
        await shop.search(SearchRequest(query="!!!"))
        await shop.recommend(RecommendRequest(filter=NOTHING))
        counts = {
            name: shop.metric("shopfuse_zero_results_total", grpc_method=name) for name in ("Search", "Recommend")
        }

    assert 'shopfuse_zero_results_total{grpc_method="RecommendSimilarItems"} 0.0' in before
    assert counts == {"Search": 2, "Recommend": 1}


async def test_missing_features_are_counted_beside_the_reads(serve: Serve) -> None:
    async with serve() as shop:
        await shop.search(SearchRequest(query="red shoes", user_id="ann"))
        await shop.search(SearchRequest(query="red shoes", user_id="a stranger"))
        await shop.rank(RankItemsRequest(item_ids=["item-001", "item-002"]))
        users = shop.metric("shopfuse_feature_reads_total", feature="user")
        strangers = shop.metric("shopfuse_feature_missing_total", feature="user")
        items = shop.metric("shopfuse_feature_reads_total", feature="item")

    assert (users, strangers) == (2, 1)
    assert items > 2


async def test_age_of_a_users_newest_event_is_that_at_the_time_of_the_request(serve: Serve) -> None:
    async with serve() as shop:
        newest = float(shop.gateway.engine.store.users(["ann"])[0].entries["at"][-1])
        request = SearchRequest(query="red shoes", user_id="ann")
        request.context.time.FromMicroseconds(int((newest + 100.0) * 1e6))
        await shop.search(request)
        age_s = shop.metric("shopfuse_user_event_age_seconds_sum")
        known = shop.metric("shopfuse_user_event_age_seconds_count")

    assert known == 1 and age_s == pytest.approx(100.0, abs=0.01)


async def test_top_score_is_that_of_the_first_item_of_whole_answers(serve: Serve) -> None:
    async with serve() as shop:
        first = await shop.search(SearchRequest(query="red shoes", page_size=5))
        await shop.search(SearchRequest(query="red shoes", page_size=5, page_token=first.next_page_token))
        await shop.search(SearchRequest(query="red shoes", filter=NOTHING))
        await shop.triton.stop()
        await shop.search(SearchRequest(query="red shoes"))
        labels = {"release_id": "r1", "grpc_method": "Search"}
        total, count = (shop.metric(f"shopfuse_top_score_{name}", **labels) for name in ("sum", "count"))

    assert count == 1 and total == pytest.approx(first.items[0].score)


async def test_closed_release_takes_its_scores_along_and_the_age_begins_anew(serve: Serve) -> None:
    async with serve() as shop:
        await shop.search(SearchRequest(query="red shoes"))
        since_r1 = shop.metric("shopfuse_release_age_seconds")
        await shop.publish(Channels(stable="r2"))
        await shop.until(lambda: shop.gateway.releases.held == ("r2",))
        since_r2 = shop.metric("shopfuse_release_age_seconds")
        text = await scrape(shop, "text/plain")

    assert since_r2 > 0 and since_r1 > 0
    assert since_r2 < shop.metric("shopfuse_release_age_seconds")
    assert 'shopfuse_top_score_bucket{grpc_method="Search",le="0.5",release_id="r1"}' not in text


async def test_histograms_name_traces_where_the_scraper_asks_for_open_metrics(
    serve: Serve, collector: Collector
) -> None:
    async with serve() as shop:
        await search_as(shop, SAMPLED, SearchRequest(query="red shoes"))
        plain, text = await scrape(shop, "text/plain"), await scrape(shop, OPEN_METRICS)
    examples = {
        (family.name, sample.exemplar.labels["trace_id"])
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    }

    assert TRACE not in plain
    assert examples == {
        ("grpc_server_handling_seconds", TRACE),
        ("shopfuse_stage_duration_seconds", TRACE),
        ("shopfuse_triton_request_seconds", TRACE),
    }


async def test_requests_that_are_not_sampled_are_no_examples(serve: Serve) -> None:
    async with serve() as shop:
        await shop.search(SearchRequest(query="red shoes"))
        text = await scrape(shop, OPEN_METRICS)

    assert "trace_id" not in text
