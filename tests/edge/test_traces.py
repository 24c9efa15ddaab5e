"""What the edge tells a collector: spans in the caller's trace, and nothing that a shopper typed."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import grpc

from tests.edge.edges import Backend, edge, free_port, search
from tests.otlp import collecting
from tests.waiting import wait_until

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, LEFT_OUT = f"00-{TRACE}-{CALLER}-01", f"00-{'1' * 32}-{CALLER}-00"


def traces(address: str, percent: float) -> str:
    return f'[traces]\ncollector = "{address.removeprefix("http://")}"\npercent = {percent}\n'


def test_the_callers_decision_counts_and_urls_are_not_told(tmp_path: Path, gateways: list[Backend]) -> None:
    with collecting() as collector, edge(tmp_path, gateways[:1], traces(collector.grpc, 100)) as running:
        with grpc.insecure_channel(running.address) as channel:
            search(channel, "secretwords", (("traceparent", LEFT_OUT),))
            told = {span.item_id: span.title for span in search(channel, "x", (("traceparent", SAMPLED),)).items}
        request = urllib.request.Request(f"{running.url}/v1/search?query=secretwords&user_id=somebody")
        request.add_header("traceparent", SAMPLED)
        urllib.request.urlopen(request, timeout=5).read()
        wait_until(lambda: len(collector.spans) == 4)

    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert [span.parent_id for span in collector.roots()] == [CALLER, CALLER]
    assert told["traceparent"].split("-")[1] == TRACE  # the gateway goes on from the edge's span
    assert told["traceparent"].split("-")[2] in {span.span_id for span in collector.spans}
    assert "secretwords" not in repr(collector.spans) and "somebody" not in repr(collector.spans)


def test_of_calls_without_a_trace_a_share_is_told(tmp_path: Path, gateways: list[Backend]) -> None:
    with (
        collecting() as collector,
        edge(tmp_path, gateways[:1], traces(collector.grpc, 50)) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        for _ in range(100):
            search(channel)
        wait_until(lambda: len(collector.spans) >= 60)  # two for each call
        time.sleep(1.0)

    assert 40 < len(collector.spans) < 160


def test_a_collector_that_is_gone_costs_no_answer(tmp_path: Path, gateways: list[Backend]) -> None:
    gone = f"127.0.0.1:{free_port()}"
    with (
        edge(tmp_path, gateways[:1], traces(gone, 100)) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        began = time.monotonic()
        answers = [search(channel).request_id for _ in range(20)]

    assert set(answers) == {"one"}
    assert time.monotonic() - began < 5
