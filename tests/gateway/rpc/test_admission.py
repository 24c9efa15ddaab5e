"""Refusals follow the gateway's own queue: places taken, or a late event loop with many requests in hand."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from shopfuse_gateway.errors import Overloaded
from shopfuse_gateway.rpc.admission import FEW, Admission
from shopfuse_gateway.rpc.loop_lag import LoopLag
from shopfuse_gateway.telemetry.metrics import Metrics


def admission(lag_s: float, max_in_flight: int = 64) -> Admission:
    """Where the event loop is so far behind. Call it inside one."""
    lag = LoopLag()
    lag.stop()
    lag.seconds = lag_s
    return Admission(max_in_flight, max_lag_s=0.05, lag=lag, metrics=Metrics())


@pytest.mark.parametrize(
    ("lag_s", "in_hand", "is_refused"),
    [(0.0, FEW, False), (0.2, FEW, True), (0.2, FEW - 1, False), (0.2, 0, False)],
)
async def test_late_loop_refuses_only_with_a_queue_of_its_own(lag_s: float, in_hand: int, is_refused: bool) -> None:
    door = admission(lag_s)
    with ExitStack() as places:
        for _ in range(in_hand):
            places.enter_context(door.place())

        assert (door.refusal() is not None) == is_refused


async def test_no_more_places_than_there_are() -> None:
    door = admission(0.0, max_in_flight=1)
    with door.place():
        assert isinstance(door.refusal(), Overloaded)
        with pytest.raises(Overloaded), door.place():
            pytest.fail("a second request found a place")

    assert door.refusal() is None


async def test_how_full_a_gateway_is_can_be_seen() -> None:
    lag, metrics = LoopLag(), Metrics()
    lag.stop()

    with Admission(7, max_lag_s=0.05, lag=lag, metrics=metrics).place():
        assert metrics.registry.get_sample_value("shopfuse_inflight_requests") == 1
        assert metrics.registry.get_sample_value("shopfuse_inflight_limit") == 7
