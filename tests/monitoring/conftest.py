"""The tools of Prometheus and Alertmanager."""

from __future__ import annotations

import pytest

from tests.debian import program


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool", "prometheus")


@pytest.fixture(scope="session")
def amtool() -> str:
    return program("amtool", "prometheus-alertmanager")
