"""The log: JSON lines for machines, text for people, a line for each request worth looking at, and never too many."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from shopfuse.release.channels import Channels, write_channels
from shopfuse.v1.recommendation_pb2 import RecommendSimilarItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.rpc import services
from shopfuse_gateway.telemetry.logs import LINES_PER_S, set_up_logging
from tests.gateway.answers import refused
from tests.gateway.shop import Serve
from tests.gateway.telemetry.caller import SAMPLED, TRACE, search_as
from tests.otlp import Collector

SEARCH = "shopfuse.v1.SearchService/Search"
FIELDS = {"time", "level", "logger", "message", "event", "request_id", "release", "rpc", "code", "ms", "degradations"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the process logs, as JSON."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    handlers = logging.root.handlers[:]
    set_up_logging("auto")
    yield written
    logging.root.handlers[:] = handlers


def requests(written: io.StringIO) -> list[dict[str, Any]]:
    """The lines of requests."""
    return [line for line in map(json.loads, written.getvalue().splitlines()) if line.get("event") == "request"]


async def test_good_request_is_worth_no_line(serve: Serve, stderr: io.StringIO) -> None:
    async with serve(slow_s=20.0) as shop:
        await shop.search(SearchRequest(query="red shoes"))

    assert requests(stderr) == []


async def test_degraded_request_is_one_line_with_what_helps_on_call(serve: Serve, stderr: io.StringIO) -> None:
    async with serve(slow_s=20.0) as shop:
        shop.triton.fake.behaviour = "failing"
        answer = await shop.search(SearchRequest(query="secretword", user_id="secretuser"))
    (line,) = requests(stderr)

    assert line.keys() == FIELDS
    assert line["rpc"] == SEARCH and line["code"] == "OK" and line["level"] == "WARNING"
    assert line["request_id"] == answer.request_id and line["release"] == "r1"
    assert line["degradations"] == ["encode:QUERY_ENCODER_UNAVAILABLE", "rank:RANKER_UNAVAILABLE"]
    assert 0 < line["ms"] < 20_000
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert "secret" not in stderr.getvalue()


async def test_slow_request_is_a_line(serve: Serve, stderr: io.StringIO) -> None:
    async with serve(slow_s=1e-6) as shop:
        await shop.search(SearchRequest(query="red shoes"))

    (line,) = requests(stderr)
    assert line["code"] == "OK" and line["degradations"] == []


async def test_failed_requests_are_lines_without_what_was_asked(
    serve: Serve, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(slow_s=20.0) as shop:
        await refused(shop.similar(RecommendSimilarItemsRequest(item_id="secretitem")))
        await refused(shop.search(SearchRequest(query="secretword", page_token="secrettoken")))

        async def broken(*_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(services, "answer", broken)
        await refused(shop.search(SearchRequest(query="secretword")))
    lines = requests(stderr)
    (incident,) = (line for line in map(json.loads, stderr.getvalue().splitlines()) if "exception" in line)

    assert [line["code"] for line in lines] == ["NOT_FOUND", "INVALID_ARGUMENT", "INTERNAL"]
    assert [line["level"] for line in lines] == ["INFO", "INFO", "WARNING"]
    assert "RuntimeError: a bug" in incident["exception"]
    assert "secret" not in stderr.getvalue()


async def test_lines_of_a_traced_request_name_its_trace(
    serve: Serve, stderr: io.StringIO, collector: Collector
) -> None:
    async with serve(slow_s=20.0) as shop:
        shop.triton.fake.behaviour = "failing"
        await search_as(shop, SAMPLED, SearchRequest(query="red shoes"))
    lines = [json.loads(line) for line in stderr.getvalue().splitlines()]
    traced = [line["logger"] for line in lines if line.get("trace_id") == TRACE]

    assert {"shopfuse_gateway.telemetry.logs", "shopfuse_gateway.triton.client"} <= set(traced)


async def test_refusals_at_the_door_are_bounded_and_the_rest_is_counted(serve: Serve, stderr: io.StringIO) -> None:
    async with serve(max_in_flight=1, slow_s=20.0) as shop:
        await shop.search(SearchRequest(query="red shoes"))
        shop.triton.fake.gate.clear()
        held = asyncio.ensure_future(shop.search(SearchRequest(query="blue shoes")))
        await shop.until(lambda: shop.metric("shopfuse_inflight_requests") == 1)
        began = asyncio.get_running_loop().time()
        for _ in range(5 * LINES_PER_S):
            await refused(shop.search(SearchRequest(query="red shoes")))
        seconds = int(asyncio.get_running_loop().time() - began) + 2  # that were begun
        shop.triton.fake.gate.set()
        await held
    lines = requests(stderr)

    assert lines and all(line["code"] == "RESOURCE_EXHAUSTED" for line in lines)
    assert len(lines) <= LINES_PER_S * seconds and (seconds > 4 or len(lines) < 5 * LINES_PER_S)


async def test_each_turn_of_a_releases_life_is_a_line_that_names_it(serve: Serve, stderr: io.StringIO) -> None:
    async with serve() as shop:
        await shop.publish(Channels(stable="r2"))
        await shop.until(lambda: shop.gateway.releases.held == ("r2",))
        write_channels(shop.gateway.settings.workspace, Channels(stable="r9"))
        await shop.until(lambda: shop.metric("shopfuse_release_refused_total", reason="signature"))
    lines = [json.loads(line) for line in stderr.getvalue().splitlines()]
    events = [(line["event"], line["release"]) for line in lines if "event" in line]

    assert events == [("channels", "r1"), ("channels", "r2"), ("closed", "r1"), ("refused", "r9")]


def test_line_after_a_burst_says_how_many_were_left_out(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("shopfuse_gateway.telemetry.logs.time.monotonic", lambda: now)
    for number in range(LINES_PER_S + 8):
        now += 5.0 if number == LINES_PER_S + 7 else 0.0
        logging.getLogger("here").warning("line %d", number)
    messages = [json.loads(line)["message"] for line in stderr.getvalue().splitlines()]

    assert len(messages) == LINES_PER_S + 1
    assert messages[-1] == f"line {LINES_PER_S + 7} (7 like it left out)"


@pytest.mark.parametrize(("form", "is_json"), [("auto", False), ("text", False), ("json", True)])
def test_terminal_gets_text_unless_json_is_forced(
    stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch, form: str, is_json: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    set_up_logging(form)
    logging.getLogger("here").warning("the %s", "message")

    assert terminal.getvalue().startswith("{") == is_json
    assert "the message" in terminal.getvalue()
