"""Three small gateways for all tests of the edge that kill none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.edge.edges import Backend, backend


@pytest.fixture(scope="session")
def gateways() -> Iterator[list[Backend]]:
    with ExitStack() as stack:
        yield [stack.enter_context(backend(name)) for name in ("one", "two", "three")]
