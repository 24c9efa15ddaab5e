"""A collector of traces, for the gateways of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.otlp import Collector, collecting


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """The test's gateways send it every trace; all of them are there once the gateway is closed."""
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.grpc)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
        yield running
