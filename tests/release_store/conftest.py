"""Two shops without a Triton: `origin` builds and signs, `replica` has its public key alone; stores between them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shopfuse.release_store import store as store_module
from shopfuse.release_store.store import ReleaseStore
from shopfuse.triton.local_triton import LocalTriton
from tests.publishing.tiny_release import Scaling, Shop, new_shop
from tests.release_store.s3_server import BUCKET, s3_server
from tests.tritons import empty_triton

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    with empty_triton(tmp_path_factory.mktemp("triton")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_long_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "RETRIES", 1)
    monkeypatch.setattr(store_module, "REQUEST_WITHIN", timedelta(seconds=2))


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReleaseStore:
    """An empty one; the same tests hold for each kind."""
    if request.param == "file":
        return ReleaseStore.open(f"file://{tmp_path / 'store'}")
    request.getfixturevalue("s3")
    return ReleaseStore.open(f"s3://{BUCKET}/shop-{next(numbers)}")


@pytest.fixture
def folder_store(tmp_path: Path) -> ReleaseStore:
    """For tests that damage what is in it."""
    return ReleaseStore.open(f"file://{tmp_path / 'store'}")


@pytest.fixture
def origin(tmp_path: Path) -> Shop:
    """With r1 and r2, neither published: they share the tower."""
    shop = new_shop(tmp_path / "origin", "s", tmp_path / "origin" / "model_repository")
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
    shop.add("r2", Scaling(2, 5.0), Scaling(1, 2.0))
    return shop


@pytest.fixture
def replica(origin: Shop, tmp_path: Path) -> Path:
    root = tmp_path / "replica"
    (root / "keys").mkdir(parents=True)
    shutil.copy(origin.key, root / "keys" / "release.pub")
    return root
