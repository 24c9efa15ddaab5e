"""One Triton for all tests of this folder; each test has a shop with model names of its own in its repository."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2

from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, new_shop
from tests.tritons import empty_triton

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    with empty_triton(tmp_path_factory.mktemp("triton")) as running:
        yield running


@pytest.fixture(scope="session")
def control(triton: LocalTriton) -> Iterator[ModelControl]:
    with ModelControl(triton.address) as connected:
        yield connected


@pytest.fixture
def shop(tmp_path: Path, triton: LocalTriton, control: ModelControl) -> Iterator[Shop]:
    """With r1 (answers 6) and r2 (answers 10: another encoder, the same tower), neither published."""
    if not triton.alive:  # the test in which it died has failed; the others need not
        warnings.warn(f"the shared Triton died: {triton.log_file.read_text()[-2000:]}", stacklevel=1)
        triton.restart()
    shop = new_shop(tmp_path / "shop", f"t{next(numbers)}", triton.model_repository)
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
    shop.add("r2", Scaling(2, 5.0), Scaling(1, 2.0))
    yield shop
    for entry in control.ready_models():
        if shop.tag in entry.name.split("_"):  # not waited for: a second for each
            control.stub.RepositoryModelUnload.future(service_pb2.RepositoryModelUnloadRequest(model_name=entry.name))
