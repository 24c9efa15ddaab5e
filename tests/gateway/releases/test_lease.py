"""Other processes see which releases a gateway holds, from its start to its clean end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.release.channels import Channels
from shopfuse.release.leases import Lease, held
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.releases import lease as lease_module
from shopfuse_gateway.releases.lease import leased
from tests.gateway.shop import Serve


def only(workspace: Path) -> Lease:
    (lease,) = held(workspace)
    return lease


async def test_lease_says_what_a_gateway_answers_with_and_holds(serve: Serve, workspace: Path) -> None:
    async with serve() as shop:
        at_start = only(workspace)
        await shop.publish(Channels(stable="r2", canary="r3", canary_share=0.5, previous="r1"))
        await shop.until(lambda: only(workspace).canary == "r3" and len(only(workspace).holds) == 3)
        moved = only(workspace)
        await shop.publish(Channels(stable="r3", previous="r2"))
        await shop.until(lambda: only(workspace).holds == ("r2", "r3"))
        pruned = only(workspace)

    assert (at_start.stable, at_start.canary, at_start.holds) == ("r1", "", ("r1",))
    assert (moved.stable, moved.canary) == ("r2", "r3") and set(moved.holds) == {"r1", "r2", "r3"}
    assert (pruned.stable, pruned.canary) == ("r3", "")
    assert held(workspace) == [] and list(WorkspacePaths(workspace).gateway_leases.iterdir()) == []


async def test_release_is_held_until_its_last_request_ended(serve: Serve, workspace: Path) -> None:
    async with serve() as shop:
        fake = shop.triton.fake
        fake.gate.clear()
        call = shop.search(SearchRequest(query="red shoes"))
        await shop.until(lambda: fake.calls)
        await shop.publish(Channels(stable="r2"))
        await shop.until(lambda: only(workspace).stable == "r2")
        during = only(workspace).holds
        fake.gate.set()
        await call
        await shop.until(lambda: only(workspace).holds == ("r2",))

    assert set(during) == {"r1", "r2"}


async def test_lease_is_renewed_without_a_change(
    serve: Serve, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_S", 0.02)
    async with serve() as shop:
        first = only(workspace).renewed_at
        await shop.until(lambda: only(workspace).renewed_at > first)

        assert only(workspace).stable == "r1"


def a_file_where_the_folder_should_be(workspace: Path) -> None:
    (workspace / "run").write_text("")


def a_folder_that_takes_no_files(workspace: Path) -> None:
    (workspace / "run").mkdir()
    (workspace / "run" / "gateways").symlink_to("/proc")


@pytest.mark.parametrize("obstacle", [a_file_where_the_folder_should_be, a_folder_that_takes_no_files])
async def test_workspace_that_cannot_be_written_costs_the_lease_only(
    serve: Serve, workspace: Path, caplog: pytest.LogCaptureFixture, obstacle: Callable[[Path], None]
) -> None:
    obstacle(workspace)
    async with serve() as shop:
        await shop.publish(Channels(stable="r2"))
        response = await shop.search(SearchRequest(query="red shoes"))

    assert response.served_by.release_id == "r2"
    assert caplog.text.count("no lease of this gateway") == 1


async def test_a_gateway_that_stops_at_the_moment_of_a_change_ends(serve: Serve, workspace: Path) -> None:
    async with serve() as shop, asyncio.timeout(20.0), leased(workspace, shop.gateway.releases):
        await shop.health.Check(HealthCheckRequest())  # by its answer the lease waits for a change
        shop.gateway.releases.changed.set()
