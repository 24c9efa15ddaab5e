"""A release that cannot be trusted or used is refused while the old one goes on, and taken once it is mended."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.release.channels import Channels, write_channels
from shopfuse.v1.search_pb2 import SearchRequest
from shopfuse_gateway.releases import follower
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from tests.gateway.release_edits import BREAKS, Damage, edit_manifest, layout_of, lose_signature, tamper
from tests.gateway.releases.test_follow import counted_looks
from tests.gateway.shop import Serve, Shop

SHOES = SearchRequest(query="red shoes", user_id="ann")


def refused(shop: Shop, reason: str) -> float:
    return shop.metric("shopfuse_release_refused_total", reason=reason)


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
async def test_bad_release_is_refused_and_the_old_one_goes_on(
    serve: Serve, copied: Path, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    reason, problem = BREAKS[damage]
    damage(copied, "r2")
    async with serve() as shop:
        write_channels(copied, Channels(stable="r2", previous="r1"))
        await shop.until(lambda: refused(shop, reason))
        response = await shop.search(SHOES)
        health = await shop.health.Check(HealthCheckRequest())
        await shop.publish(Channels(stable="r3", previous="r1"))

    assert response.served_by.release_id == "r1" and not response.degraded
    assert health.status == HealthCheckResponse.SERVING
    assert problem in caplog.text


async def test_refusal_counts_once_and_ends_when_the_release_is_mended(
    serve: Serve, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, layout = counted_looks(monkeypatch), layout_of(copied, "r2")
    signature = layout.signature.read_bytes()
    lose_signature(copied, "r2")
    async with serve() as shop:
        write_channels(copied, Channels(stable="r2"))
        await shop.until(lambda: refused(shop, "signature"))
        before = len(looks)
        await shop.until(lambda: len(looks) > before + 3)
        counted = refused(shop, "signature")
        layout.signature.write_bytes(signature)
        await shop.until(lambda: shop.channels.stable == "r2")

    assert counted == 1


async def test_release_is_tried_again_when_the_pointer_is_written_again(serve: Serve, copied: Path) -> None:
    vectors = layout_of(copied, "r2").items / "item_vectors.npy"
    genuine = vectors.read_bytes()
    tamper(copied, "r2")
    async with serve() as shop:
        write_channels(copied, Channels(stable="r2"))
        await shop.until(lambda: refused(shop, "damaged") == 1)
        write_channels(copied, Channels(stable="r2"))
        await shop.until(lambda: refused(shop, "damaged") == 2)
        vectors.write_bytes(genuine)
        await shop.publish(Channels(stable="r2"))
        response = await shop.search(SHOES)

    assert response.served_by.release_id == "r2"


async def test_release_that_comes_later_than_its_pointer_is_waited_for(serve: Serve, copied: Path) -> None:
    shutil.move(copied / "releases" / "r2", copied / "coming")
    async with serve() as shop:
        write_channels(copied, Channels(stable="r2"))
        await shop.until(lambda: refused(shop, "signature"))
        shutil.move(copied / "coming", copied / "releases" / "r2")
        await shop.until(lambda: shop.channels.stable == "r2")

    assert shop.channels == Channels(stable="r2")


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"stable": "r2", "can',
        "[]",
        '{"stable": 2}',
        '{"stable": "../r2"}',
        '{"stable": "r2", "canary_share": 7}',
        '{"stable": "r2", "color": 1}',
        '{"canary": "r2"}',
        "\x00" * 64,
    ],
    ids=lambda content: content.strip("\x00")[:24],
)
async def test_damaged_pointer_changes_nothing(serve: Serve, workspace: Path, content: str) -> None:
    async with serve() as shop:
        WorkspacePaths(workspace).channels.write_text(content)
        await shop.until(lambda: refused(shop, "channels"))
        response = await shop.search(SHOES)
        await shop.publish(Channels(stable="r2"))

    assert response.served_by.release_id == "r1"


async def test_lost_pointer_changes_nothing(serve: Serve, workspace: Path) -> None:
    async with serve() as shop:
        WorkspacePaths(workspace).channels.unlink()
        await shop.until(lambda: refused(shop, "channels"))
        response = await shop.search(SHOES)

    assert response.served_by.release_id == "r1"


async def test_refused_canary_gets_nobody_and_holds_up_nothing(serve: Serve, copied: Path) -> None:
    tamper(copied, "r2")
    async with serve() as shop:
        write_channels(copied, Channels(stable="r3", canary="r2", canary_share=1.0, previous="r1"))
        await shop.until(lambda: refused(shop, "damaged"))
        response = await shop.search(SHOES)

    assert response.served_by.release_id == "r3" and shop.channels == Channels(stable="r3", previous="r1")


async def test_refused_stable_keeps_the_canary_going(serve: Serve, copied: Path) -> None:
    tamper(copied, "r3")
    async with serve() as shop:
        await shop.publish(Channels(stable="r1", canary="r2", canary_share=1.0))
        write_channels(copied, Channels(stable="r3", canary="r2", canary_share=1.0, previous="r1"))
        await shop.until(lambda: refused(shop, "damaged"))
        response = await shop.search(SHOES)

    assert response.served_by.release_id == "r2" and shop.channels.stable == "r1"


async def test_failing_disk_is_tried_again(serve: Serve, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, failures = LoadedRelease.open, [OSError(errno.EIO, "Input/output error"), OSError(errno.ESTALE, "Stale")]

    def failing(root: Path, release_id: str, key: Path, held: Sequence[LoadedRelease] = ()) -> LoadedRelease:
        if release_id == "r2" and failures:
            raise failures.pop()
        return opened(root, release_id, key, held)

    monkeypatch.setattr(LoadedRelease, "open", failing)
    monkeypatch.setattr(follower, "UNREADABLE_RETRY_S", 0.0)
    async with serve() as shop:
        await shop.publish(Channels(stable="r2"))

        assert refused(shop, "unreadable") == 1 and not failures


async def test_bug_in_a_library_is_a_refusal_with_its_traceback(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = LoadedRelease.open

    def broken(root: Path, release_id: str, key: Path, held: Sequence[LoadedRelease] = ()) -> LoadedRelease:
        if release_id == "r2":
            raise RuntimeError("index page lost")
        return opened(root, release_id, key, held)

    monkeypatch.setattr(LoadedRelease, "open", broken)
    async with serve() as shop:
        write_channels(shop.gateway.settings.workspace, Channels(stable="r2"))
        await shop.until(lambda: refused(shop, "internal"))
        response = await shop.search(SHOES)

    assert response.served_by.release_id == "r1" and "Traceback" in caplog.text


async def test_release_of_another_format_is_refused(serve: Serve, copied: Path) -> None:
    edit_manifest(copied, "r2", format=1)
    async with serve() as shop:
        write_channels(copied, Channels(stable="r2"))
        await shop.until(lambda: refused(shop, "damaged"))

        assert shop.channels.stable == "r1"
