"""The spans of requests, as a collector gets them over OTLP."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from shopfuse.v1.recommendation_pb2 import RankItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.rpc import services
from shopfuse_gateway.settings import SettingsError
from shopfuse_gateway.telemetry.tracing import OFF
from tests.gateway.answers import refused
from tests.gateway.shop import Serve
from tests.gateway.telemetry.caller import SAMPLED, SPAN, TRACE, UNSAMPLED, search_as
from tests.otlp import Collector

SEARCH = "shopfuse.v1.SearchService/Search"
STAGES = ["features", "encode", "recall", "item_features", "rank", "policy", "answer"]


async def test_search_is_one_trace_with_a_span_for_each_stage_and_call(serve: Serve, collector: Collector) -> None:
    async with serve() as shop:
        answer = await shop.search(SearchRequest(query="red shoes", user_id="ann", page_size=5))
    (root,) = collector.roots()
    stages = collector.below(root)
    inside = {stage.name: [span.name for span in collector.below(stage)] for stage in stages}

    assert (root.name, root.service, root.parent_id, root.failed) == (SEARCH, "shopfuse-gateway", "", False)
    assert [stage.name for stage in stages] == STAGES
    assert inside["features"] == ["feature_store users", "feature_store items"]
    assert inside["encode"] == ["triton encode_query_r1"]
    assert inside["item_features"] == ["feature_store items"]
    assert inside["rank"] == ["triton rank_by_vector_r1"]
    assert inside["answer"] == ["feature_store display"]
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    assert root.values == {
        "rpc.system.name": "grpc",
        "rpc.response.status_code": "OK",
        "shopfuse.request_id": answer.request_id,
        "shopfuse.release_id": "r1",
        "shopfuse.scene": "",
        "shopfuse.degraded": False,
        "shopfuse.degradations": [],
        "shopfuse.items": 5,
    }


async def test_spans_name_no_user_no_query_and_no_item(serve: Serve, collector: Collector) -> None:
    async with serve() as shop:
        search = SearchRequest(query="secretword shoes", user_id="secretuser", session_id="secretsession")
        search.context.scene = "secretscene"
        await shop.search(search)
        await shop.rank(RankItemsRequest(item_ids=["item-001", "secretitem"], user_id="secretuser"))
        await refused(shop.search(SearchRequest(query="secretword", page_token="secrettoken")))
        await refused(shop.search(SearchRequest(query="secretword", query_image=b"secretimage")))

    assert len(collector.roots()) == 4
    assert "secret" not in repr(collector.spans)
    assert "other" in {root.values["shopfuse.scene"] for root in collector.roots()}


async def test_callers_trace_goes_on_to_triton(serve: Serve, collector: Collector) -> None:
    async with serve() as shop:
        await search_as(shop, SAMPLED, SearchRequest(query="red shoes", user_id="ann"))
    (root,) = collector.roots()
    calls = {span.span_id for span in collector.spans if span.name.startswith("triton ")}
    handed_on = [dict(metadata)["traceparent"].split("-") for metadata in shop.triton.fake.metadata[-2:]]

    assert (root.trace_id, root.parent_id) == (TRACE, SPAN)
    assert {(trace, flags) for _, trace, _, flags in handed_on} == {(TRACE, "01")}
    assert {span for _, _, span, _ in handed_on} == calls


async def test_caller_that_does_not_sample_is_obeyed_and_triton_is_told_nothing(
    serve: Serve, collector: Collector
) -> None:
    async with serve() as shop:
        await search_as(shop, UNSAMPLED, SearchRequest(query="red shoes"))

    assert collector.spans == []
    assert shop.triton.fake.metadata and "traceparent" not in repr(shop.triton.fake.metadata)


@pytest.mark.parametrize("header", ["", "00-zz-zz-01", "x" * 300, f"00-{'0' * 32}-{'0' * 16}-01"])
async def test_damaged_traceparent_begins_a_new_trace(serve: Serve, collector: Collector, header: str) -> None:
    async with serve() as shop:
        await search_as(shop, header, SearchRequest(query="red shoes"))

    (root,) = collector.roots()
    assert root.parent_id == "" and root.trace_id != "0" * 32


async def test_share_of_requests_is_sampled(
    serve: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    async with serve() as shop:
        for _ in range(100):
            await shop.search(SearchRequest(query="red shoes"))

    assert 20 < len(collector.roots()) < 80  # of 100 draws, six standard deviations


async def test_one_request_in_a_hundred_is_sampled_unless_the_environment_says_otherwise(
    serve: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_TRACES_SAMPLER")
    async with serve() as shop:
        for _ in range(100):
            await shop.search(SearchRequest(query="red shoes"))
        await search_as(shop, SAMPLED, SearchRequest(query="red shoes"))

    assert 1 <= len(collector.roots()) < 20
    assert (TRACE, SPAN) in {(root.trace_id, root.parent_id) for root in collector.roots()}


async def test_degraded_answer_and_failing_call_say_so(serve: Serve, collector: Collector) -> None:
    async with serve() as shop:
        shop.triton.fake.behaviour = "failing"
        await shop.search(SearchRequest(query="red shoes"))
        await refused(shop.search(SearchRequest(query="x" * 5000)))
    degraded, invalid = sorted(collector.roots(), key=lambda root: root.begin_ns)
    calls = [span for span in collector.spans if span.name.startswith("triton ")]

    assert degraded.values["shopfuse.degradations"] == ["encode:QUERY_ENCODER_UNAVAILABLE", "rank:RANKER_UNAVAILABLE"]
    assert not degraded.failed and len(calls) == 2 and all(call.failed for call in calls)
    assert invalid.values["rpc.response.status_code"] == "INVALID_ARGUMENT" and not invalid.failed


async def test_bug_is_a_failed_span_without_its_text(
    serve: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret of a database")

    monkeypatch.setattr(services, "answer", broken)
    async with serve() as shop:
        failure = await refused(shop.search(SearchRequest(query="red shoes")))
    (root,) = collector.roots()

    assert failure.code is grpc.StatusCode.INTERNAL
    assert root.failed and root.values["rpc.response.status_code"] == "INTERNAL"
    assert "secret" not in repr(root)


async def test_collector_that_is_gone_costs_no_answer_and_lost_spans_are_counted(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    async with serve() as shop:
        answers = await asyncio.gather(*(shop.search(SearchRequest(query="red shoes")) for _ in range(20)))
        began = time.monotonic()
    closed_in_s = time.monotonic() - began

    assert all(answer.items and not answer.degraded for answer in answers)
    assert shop.metric("shopfuse_trace_spans_dropped_total", reason="export") >= 20 * len(STAGES)
    assert closed_in_s < 8  # FLUSH_S and the rest of the stop; the SDK alone would try for 10 s a batch


async def test_full_queue_drops_spans_and_counts_them(
    serve: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    async with serve() as shop:
        for _ in range(20):
            await shop.search(SearchRequest(query="red shoes"))
    dropped = shop.metric("shopfuse_trace_spans_dropped_total", reason="queue_full")
    made = 20 * (1 + len(STAGES) + 4) - 19  # the query is encoded once

    assert dropped > 0 and dropped + len(collector.spans) == made


async def test_nothing_is_traced_where_no_collector_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    async with serve() as shop:
        await search_as(shop, SAMPLED, SearchRequest(query="red shoes"))
        tracing = shop.gateway.engine.triton._tracing

    assert tracing is OFF and "traceparent" not in repr(shop.triton.fake.metadata)


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]
)
async def test_way_of_sending_that_is_not_known_stops_the_start(
    serve: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}: expected"):
        async with serve():
            pass


@pytest.mark.parametrize(("name", "value"), [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")])
async def test_environment_can_turn_it_off(
    serve: Serve, collector: Collector, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    async with serve() as shop:
        await search_as(shop, SAMPLED, SearchRequest(query="red shoes"))

    assert collector.spans == []
