"""One small demo shop with trained models, served for all end-to-end tests by a real Triton and a gateway process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shopfuse.cli.build import build_and_publish
from shopfuse.core.progress import silent
from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import Client, connect
from shopfuse.local.endpoints import write_endpoints
from shopfuse.local.stack import Stack, local_stack
from shopfuse_exporters.build import BuildOptions


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Trained on events and released; tests that change files work on a copy."""
    workspace = Workspace.create(tmp_path_factory.mktemp("shop") / "demo")
    build_demo_shop(workspace, items=300, users=400, days=7, seed=1)
    build_and_publish(workspace, BuildOptions(seed=1, fusion="attention"), silent)
    return workspace


@pytest.fixture(scope="session")
def stack(shop: Workspace) -> Iterator[Stack]:
    with local_stack(shop.root) as running:
        yield running


@pytest.fixture
def found_stack(stack: Stack) -> Stack:
    """What commands find that are given the workspace alone: a test's own stack on this shop takes the place."""
    write_endpoints(stack.workspace, stack.endpoints)
    return stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with connect(stack.endpoints.grpc) as connected:
        yield connected


@pytest.fixture(scope="session")
def users(shop: Workspace) -> list[str]:
    """Users with purchases, in order."""
    events = shop.events().collect()
    return sorted(set(events.filter(events["event_name"] == "purchase")["user_id"].to_list()))


@pytest.fixture(scope="session")
def item_ids(shop: Workspace) -> list[str]:
    return shop.items().select("item_id").collect()["item_id"].to_list()


@pytest.fixture
def workspace_copy(shop: Workspace, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(shop.root, copy, ignore=shutil.ignore_patterns("run"))
    return copy
