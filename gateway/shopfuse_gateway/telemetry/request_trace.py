"""What happened to one request: how long its stages took, where it was answered without one, and by what."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shopfuse.release.manifest import Manifest
from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.tracing import OFF, Tracing, exemplar

_current: ContextVar[RequestTrace] = ContextVar("request_trace")


def new_request_id() -> str:
    """A random UUID. It need not be unguessable, and the system's randomness costs a system call."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class RequestTrace:
    """Made inside the request's span, where it has one: histograms then name that trace as an example."""

    def __init__(self, metrics: Metrics, tracing: Tracing = OFF) -> None:
        self._metrics = metrics
        self.tracing = tracing
        self.request_id = new_request_id()
        self.durations_s: dict[str, float] = {}
        self.degradations: list[tuple[str, str]] = []  # (stage, reason), each once
        self.release_id = ""  # that answers; "" until it is chosen
        self.scene = ""  # of the request: one that the release knows, or "other"
        self.items: int | None = None  # in the answer; None without one
        self.exemplar = exemplar()

    @classmethod
    def begin(cls, metrics: Metrics, tracing: Tracing) -> RequestTrace:
        """Of the call that this task answers: what the task runs finds it with `current`."""
        trace = cls(metrics, tracing)
        _current.set(trace)
        return trace

    @staticmethod
    def current() -> RequestTrace:
        return _current.get()

    def answered_by(self, manifest: Manifest, scene: str = "") -> None:
        """A scene that the release does not know is text of the caller's, and kept out of spans."""
        self.release_id = manifest.release_id
        self.scene = scene if not scene or scene in manifest.scenes else "other"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            with self.tracing.span(name):
                yield
        finally:
            took = time.perf_counter() - started
            self.durations_s[name] = took
            self._metrics.stage.labels(name).observe(took, self.exemplar)

    def degrade(self, stage: str, reason: str) -> None:
        """Notes that the answer does without something. `reason` is a stable UPPER_SNAKE_CASE code."""
        if (stage, reason) not in self.degradations:
            self.degradations.append((stage, reason))
            self._metrics.degraded.labels(stage, reason).inc()

    def timing(self) -> str:
        """The stages' times in the form of the HTTP header Server-Timing, in milliseconds."""
        return ", ".join(f"{name};dur={took * 1000:.2f}" for name, took in self.durations_s.items())
