"""A gateway on a free port over a tiny release, with a Triton of a few lines that can fail."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import grpc
import pytest

from shopfuse.release.channels import Channels, write_channels
from shopfuse_gateway.server import open_gateway
from shopfuse_gateway.settings import Settings
from tests.gateway.fake_triton import FakeTriton, Triton
from tests.gateway.shop import Changes, Serve, Shop
from tests.gateway.tiny_release import build_workspace

OPEN_AT_MOST_S = 60.0  # no claim about speed: it ends a test whose event never comes


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_workspace(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def workspace(built: Path, tmp_path: Path) -> Path:
    """A workspace that shares the built release, but keeps what the gateway writes to itself."""
    for name in ("releases", "state"):
        (tmp_path / name).mkdir()
    for name in ("keys", "releases/r1", "releases/r2", "releases/r3", "state/store.lmdb"):
        (tmp_path / name).symlink_to(built / name)
    write_channels(tmp_path, Channels(stable="r1"))
    return tmp_path


@pytest.fixture
def copied(workspace: Path, built: Path) -> Path:
    """The workspace, with releases of its own that a test may break. Links would be followed to the shared ones."""
    for release_id in ("r1", "r2", "r3"):
        (workspace / "releases" / release_id).unlink()
        shutil.copytree(built / "releases" / release_id, workspace / "releases" / release_id)
    return workspace


@pytest.fixture
def serve(workspace: Path) -> Serve:
    """serve(**settings): a gateway with a healthy fake Triton, closed at the end of its `async with`."""

    @asynccontextmanager
    async def served(**changes: Unpack[Changes]) -> AsyncIterator[Shop]:
        triton = Triton(FakeTriton(), 0, [])
        triton = replace(triton, port=await triton.start())
        settings = Settings(
            workspace,
            f"127.0.0.1:{triton.port}",
            deadline_s=20.0,  # this and the lag are long: answers are whole on a machine that does other things, too
            max_lag_s=20.0,
            grace_s=20.0,
            drain_s=0.05,
            breaker_retry_s=0.1,
            follow_s=0.02,
        )
        try:
            async with (
                asyncio.timeout(OPEN_AT_MOST_S),
                open_gateway(replace(settings, **changes)) as gateway,
                grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
            ):
                yield Shop.over(channel, gateway, triton)
        finally:
            await triton.stop()

    return served
