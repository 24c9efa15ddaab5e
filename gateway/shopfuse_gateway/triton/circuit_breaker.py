"""A circuit breaker (Nygard, Release It!, 2007): after failures in a row, callers stop trying for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed until `failures` in a row; then open, letting one caller try every `retry_s` until a try succeeds."""

    def __init__(self, failures: int, retry_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._retry_s = retry_s
        self._clock = clock
        self._failed = 0
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._failed >= self._limit

    def allows(self) -> bool:
        """True where the caller may try. In an open circuit this takes the one try that is due."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._retry_s
        return True

    def succeeded(self) -> None:
        self._failed = 0

    def failed(self) -> None:
        self._failed += 1
        if self._failed == self._limit:
            self._retry_at = self._clock() + self._retry_s
