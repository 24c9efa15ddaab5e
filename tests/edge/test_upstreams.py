"""Which gateway answers, and what is tried again: health, ejection, retries, hedging; the same for Tritons."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.loadtest.closed_loop import Load, load_in_background
from shopfuse.v1 import search_pb2
from tests.edge.backend import SLOW_S
from tests.edge.edges import TIMEOUT_S, Backend, Edge, backend, edge, refusal, search, sent
from tests.tritons import empty_triton, is_ready
from tests.waiting import wait_until

SEARCH = "/shopfuse.v1.SearchService/Search"


def answering(channel: grpc.Channel, calls: int = 30) -> Counter[str]:
    return Counter(search(channel).request_id for _ in range(calls))


def test_calls_of_one_connection_are_shared_out(tmp_path: Path, gateways: list[Backend]) -> None:
    with edge(tmp_path, gateways) as running, grpc.insecure_channel(running.address) as channel:
        wait_until(lambda: set(answering(channel)) == {"one", "two", "three"})


@pytest.mark.parametrize("killed", ["KILL", "TERM"])
def test_a_gateway_killed_under_load_loses_no_request(tmp_path: Path, killed: str) -> None:
    with ExitStack() as stack:
        three = [stack.enter_context(backend(name)) for name in ("one", "two", "three")]
        running = stack.enter_context(edge(tmp_path, three))
        request = search_pb2.SearchRequest(query="shoes").SerializeToString()
        load = Load(running.address, SEARCH, (request,), clients=8, seconds=3, warm_up_s=0)
        channel = stack.enter_context(grpc.insecure_channel(running.address))
        with load_in_background(load) as result:
            wait_until(lambda: running.counter("envoy_http_downstream_rq_total", "clients") > 500)
            three[0].process.kill() if killed == "KILL" else three[0].process.terminate()
            outcome = result.result()

        assert outcome.errors == {}
        assert len(outcome.latencies_s) > 500
        assert set(answering(channel)) == {"two", "three"}
        assert running.counter("envoy_cluster_upstream_rq_retry", "") >= 1


def test_a_gateway_that_is_not_serving_gets_no_calls(tmp_path: Path) -> None:
    with ExitStack() as stack:
        two = [stack.enter_context(backend(name)) for name in ("one", "two")]
        running = stack.enter_context(edge(tmp_path, two))
        channel = stack.enter_context(grpc.insecure_channel(running.address))
        wait_until(lambda: search(channel, "sick one").request_id == "one")
        wait_until(lambda: set(answering(channel)) == {"two"})


def test_unavailable_is_tried_at_another_gateway(tmp_path: Path, gateways: list[Backend]) -> None:
    with edge(tmp_path, gateways) as running, grpc.insecure_channel(running.address) as channel:
        names = Counter(search(channel, "unavailable one").request_id for _ in range(30))

    assert names["one"] == 0
    assert names["two"] + names["three"] == 30


def test_a_gateway_that_keeps_failing_is_ejected_and_comes_back(tmp_path: Path, gateways: list[Backend]) -> None:
    extra = "failures = 3\nejected_s = 4.0\n"
    with edge(tmp_path, gateways, extra) as running, grpc.insecure_channel(running.address) as channel:
        wait_until(lambda: set(answering(channel)) == {"one", "two", "three"})
        for _ in range(30):
            search(channel, "unavailable one")

        assert running.counter("envoy_cluster_outlier_detection_ejections_enforced_total", "") >= 1
        assert answering(channel)["one"] == 0
        wait_until(lambda: answering(channel)["one"] > 0)


def test_retries_are_bounded_where_all_gateways_fail(tmp_path: Path, gateways: list[Backend]) -> None:
    with edge(tmp_path, gateways, "failures = 1000\n") as running, grpc.insecure_channel(running.address) as channel:
        error = refusal(channel, "unavailable")
        attempts = running.counter("envoy_cluster_upstream_rq_total", "")

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert attempts <= 1 + 2 + 3 * 3  # the call, its two retries, and the looks at the health of three


@pytest.mark.parametrize("query", ["invalid", "slow"])
def test_other_failures_are_answers(tmp_path: Path, gateways: list[Backend], query: str) -> None:
    with edge(tmp_path, gateways) as running, grpc.insecure_channel(running.address) as channel:
        error = refusal(channel, query, timeout_s=0.3)

        assert error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert running.counter("envoy_cluster_upstream_rq_retry", "") == 0


def test_deadline_is_passed_on_and_capped(tmp_path: Path, gateways: list[Backend]) -> None:
    extra = "listener.max_request_s = 0.5\n"
    with edge(tmp_path, gateways, extra) as running, grpc.insecure_channel(running.address) as channel:
        left = search(channel, timeout_s=0.4).items[0].score
        started = time.monotonic()
        error = refusal(channel, "slow", timeout_s=30)

    assert 0.2 < left <= 0.4
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < SLOW_S


def test_a_slow_gateway_is_hedged(tmp_path: Path, gateways: list[Backend]) -> None:
    with (
        edge(tmp_path, gateways, "hedge_after_s = 0.1\n") as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        search(channel)
        for _ in range(6):
            started = time.monotonic()
            assert search(channel, "slow one").request_id in {"two", "three"}
            assert time.monotonic() - started < SLOW_S


def test_no_gateway_at_all_is_unavailable(tmp_path: Path) -> None:
    with backend("gone") as gone:
        pass
    with edge(tmp_path, [gone]) as running, grpc.insecure_channel(running.address) as channel:
        error = refusal(channel)

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert error.details() == "no gateway answers"


def test_draining_loses_no_request(tmp_path: Path, gateways: list[Backend]) -> None:
    request = search_pb2.SearchRequest(query="shoes").SerializeToString()
    with edge(tmp_path, gateways) as running:
        load = Load(running.address, SEARCH, (request,), clients=4, seconds=1.5, warm_up_s=0)
        with load_in_background(load) as result:
            wait_until(lambda: running.counter("envoy_http_downstream_rq_total", "clients") > 100)
            running.envoy.drain(0)
            outcome = result.result()

    assert outcome.errors == {}


def test_headers_reach_the_gateway_as_they_may(tmp_path: Path, gateways: list[Backend]) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    given = (("traceparent", trace), ("x-shopfuse-tenant", "acme"), ("x-envoy-max-retries", "100"), ("x-other", "kept"))
    with edge(tmp_path, gateways) as running, grpc.insecure_channel(running.address) as channel:
        received = sent(search(channel, metadata=given))
        wait_until(lambda: bool(running.log()))
        logged = running.log()[0]

    assert received["traceparent"] == trace
    assert received["x-other"] == "kept"
    assert "x-shopfuse-tenant" not in received
    assert "x-envoy-max-retries" not in received
    assert logged["traceparent"] == trace
    assert logged["request_id"] == received["x-request-id"]
    assert logged["path"] == SEARCH
    assert logged["grpc_status"] == "OK"
    assert logged["gateway"] in {one.address for one in gateways}


def infer(channel: grpc.Channel) -> str:
    stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    return str(stub.ModelInfer(service_pb2.ModelInferRequest(), timeout=TIMEOUT_S).model_name)


def test_calls_of_gateways_are_shared_out_over_tritons(tmp_path: Path, gateways: list[Backend]) -> None:
    with ExitStack() as stack:
        tritons = [stack.enter_context(backend(name)) for name in ("left", "right")]
        addresses = ", ".join(f'"{one.address}"' for one in tritons)
        extra = f"[triton]\nport = TRITON_PORT\nservers = {{addresses = [{addresses}], check_every_s = 0.2}}\n"
        running = stack.enter_context(edge(tmp_path, gateways, extra))
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{running.triton_port}"))
        before = {infer(channel) for _ in range(30)}
        tritons[0].process.kill()
        after = {infer(channel) for _ in range(30)}
        control: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            control.RepositoryModelLoad(service_pb2.RepositoryModelLoadRequest(model_name="m"), timeout=TIMEOUT_S)

    assert before == {"left", "right"}
    assert after == {"right"}
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # would reach one Triton of two


def test_a_real_triton_that_dies_is_left_out(tmp_path: Path, gateways: list[Backend]) -> None:
    """Triton itself answers the looks at its health."""
    with ExitStack() as stack:
        folders = [tmp_path / "left", tmp_path / "right"]
        for folder in folders:
            folder.mkdir()
        tritons = [stack.enter_context(empty_triton(folder)) for folder in folders]
        addresses = ", ".join(f'"{one.address}"' for one in tritons)
        extra = f"[triton]\nport = TRITON_PORT\nservers = {{addresses = [{addresses}], check_every_s = 0.2}}\n"
        running = stack.enter_context(edge(tmp_path, gateways, extra))
        through = f"127.0.0.1:{running.triton_port}"
        wait_until(lambda: healthy(running) == 2)
        tritons[0].stop()

        assert [is_ready(through, "no such model") for _ in range(10)] == [False] * 10  # an answer of Triton's
        wait_until(lambda: healthy(running) == 1)


def healthy(running: Edge) -> float:
    """Tritons that pass their health checks."""
    return running.counter('envoy_cluster_membership_healthy{envoy_cluster_name="tritons"}', "")
