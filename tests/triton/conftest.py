"""One Triton for the whole session; tests add models of their own names to its repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2_grpc

from shopfuse.triton.local_triton import LocalTriton
from tests.triton.tiny_models import connect
from tests.tritons import QUICK, empty_triton

WITH_CACHE = replace(QUICK, response_cache_bytes=1 << 20)


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    with empty_triton(tmp_path_factory.mktemp("triton"), WITH_CACHE) as running:
        yield running


@pytest.fixture(scope="session")
def stub(triton: LocalTriton) -> service_pb2_grpc.GRPCInferenceServiceStub:
    return connect(triton.address)


@pytest.fixture
def repository(triton: LocalTriton) -> Path:
    return triton.model_repository


@pytest.fixture
def own_triton(tmp_path: Path) -> LocalTriton:
    """Not started, with an empty repository: for tests that kill it."""
    (tmp_path / "repository").mkdir()
    return LocalTriton(tmp_path / "repository", tmp_path / "triton.log", QUICK)
