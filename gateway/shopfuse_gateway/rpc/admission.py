"""Admission: what does not fit is refused at the door, at once, rather than queued without end.

Two bounds: requests at once (they may all wait for Triton), and how far the event loop is behind (they all compute).
A loop that is behind with few requests in hand waits for the machine, not for its own queue: refusing would not help.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shopfuse_gateway.errors import Overloaded
from shopfuse_gateway.rpc.loop_lag import LoopLag
from shopfuse_gateway.telemetry.metrics import Metrics

RETRY_AFTER_S = 0.2
FEW = 8  # requests at once that make no queue worth refusing for


class Admission:
    def __init__(self, max_in_flight: int, max_lag_s: float, lag: LoopLag, metrics: Metrics) -> None:
        self._max_in_flight = max_in_flight
        self._max_lag_s = max_lag_s
        self._lag = lag
        self._in_flight = 0
        self._gauge = metrics.in_flight
        self._shed = metrics.shed
        metrics.limit.set(max_in_flight)

    def refusal(self) -> Overloaded | None:
        """Why the next request does not fit, already counted; None where it does. Call it once for each request."""
        if self._in_flight >= self._max_in_flight:
            return self._full()
        if self._lag.seconds > self._max_lag_s and self._in_flight >= FEW:
            self._shed.labels("lag").inc()
            return Overloaded("requests wait too long for their turn", RETRY_AFTER_S)
        return None

    def _full(self) -> Overloaded:
        self._shed.labels("in_flight").inc()
        return Overloaded(f"{self._in_flight} requests are already being answered", RETRY_AFTER_S)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds one place for the time of the request. Raises Overloaded where others were faster."""
        if self._in_flight >= self._max_in_flight:
            raise self._full()
        self._in_flight += 1
        self._gauge.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self._gauge.set(self._in_flight)
