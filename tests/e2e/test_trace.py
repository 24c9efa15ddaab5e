"""One request as one trace: caller, Envoy, gateway, feature store and a real Triton.

`pytest tests/e2e/test_trace.py -s` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shopfuse.datasets.workspace import Workspace
from shopfuse.loadtest.open_loop import Front
from shopfuse.local.client import connect
from shopfuse.local.stack import StackOptions, local_stack
from shopfuse.v1.search_pb2 import SearchRequest
from tests.edge.edges import edge
from tests.otlp import Collector, collecting
from tests.waiting import wait_until

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
METADATA = (("traceparent", f"00-{TRACE}-{CALLER}-01"),)
TIMEOUT_S = 20.0
MODELS = {"text_encoder", "query_tower", "user_tower", "fusion_ranker"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.grpc)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        yield running


def test_search_is_one_trace_through_edge_gateway_and_triton(
    shop: Workspace, users: list[str], collector: Collector, tmp_path: Path
) -> None:
    traces = f'[traces]\ncollector = "{collector.grpc.removeprefix("http://")}"\npercent = 0\n'
    with (
        local_stack(shop.root, StackOptions(triton_traces=collector.http)) as stack,
        edge(tmp_path, [Front(stack.endpoints.grpc)], traces) as running,
        connect(running.address) as client,
    ):
        search = SearchRequest(query="leather boots", user_id=users[0], page_size=5)
        client.searches.Search(search, timeout=TIMEOUT_S)  # of nobody's trace, so it is not sampled
        search.query = "winter coats"
        response = client.searches.Search(search, timeout=TIMEOUT_S, metadata=METADATA)
        # Triton and Envoy send every few seconds.
        wait_until(
            lambda: calls(collector) == 2 and models(collector) >= MODELS and collector.roots()[0].service == "edge"
        )
    (root,) = collector.roots()
    lines = collector.tree(root)
    print("", f"{'span':<58}{'begin':>8}{'ms':>8}", *lines, sep="\n")

    assert not response.degraded
    assert (root.trace_id, root.parent_id) == (TRACE, CALLER)
    (attempt,) = collector.below(root)
    assert [span.service for span in (root, attempt, *collector.below(attempt))] == ["edge", "edge", "shopfuse-gateway"]
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert models(collector) >= MODELS
    for call in (span for span in collector.spans if span.name.startswith("triton ")):
        (inside,) = collector.below(call)
        assert (inside.service, inside.name) == ("triton", "InferRequest")
    assert "winter" not in repr(collector.spans) and users[0] not in repr(collector.spans)


def models(collector: Collector) -> set[str]:
    """What Triton says it ran."""
    return {str(span.values["triton.model_name"]) for span in collector.spans if "triton.model_name" in span.values}


def calls(collector: Collector) -> int:
    """How many calls Triton says it answered."""
    return sum(span.name == "InferRequest" for span in collector.spans)
