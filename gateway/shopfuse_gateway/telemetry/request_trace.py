"""What happened to one request: how long its stages took, and where it was answered without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shopfuse_gateway.telemetry.metrics import Metrics


class RequestTrace:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.durations_s: dict[str, float] = {}
        self.degradations: list[tuple[str, str]] = []  # (stage, reason), each once

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.durations_s[name] = took
            self._metrics.stage.labels(name).observe(took)

    def degrade(self, stage: str, reason: str) -> None:
        """Notes that the answer does without something. `reason` is a stable UPPER_SNAKE_CASE code."""
        if (stage, reason) not in self.degradations:
            self.degradations.append((stage, reason))
            self._metrics.degraded.labels(stage, reason).inc()

    def timing(self) -> str:
        """The stages' times in the form of the HTTP header Server-Timing, in milliseconds."""
        return ", ".join(f"{name};dur={took * 1000:.2f}" for name, took in self.durations_s.items())
