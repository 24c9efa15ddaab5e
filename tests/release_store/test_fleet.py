"""A gateway's workspace names a release only when every Triton that the gateway may ask serves it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.publish import publish
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release.verify import read_manifest
from shopfuse.release_store.fleet import Fleet, FleetBehind
from shopfuse.release_store.push import push_channels
from shopfuse.release_store.store import ReleaseStore
from shopfuse.release_store.sync import Sync
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, new_shop
from tests.tritons import empty_triton

GONE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    with empty_triton(tmp_path_factory.mktemp("other")) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, triton: LocalTriton) -> Shop:
    """Its r1 is published and pushed; the Triton, whose repository is the shop's, has nothing loaded."""
    shop = new_shop(tmp_path / "shop", "fleet", triton.model_repository)
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
    return shop


def test_a_release_waits_for_the_last_triton_and_for_none_that_is_gone(
    shop: Shop, replica: Path, triton: LocalTriton, other: LocalTriton, folder_store: ReleaseStore
) -> None:
    publish(shop.root, "r1", control=None, public_key=shop.key)
    push_channels(shop.root, folder_store, public_key=shop.key)
    shutil.copy(shop.key, WorkspacePaths(replica).public_key)
    fleet = Fleet.parse(f"{triton.address},{other.address},{GONE}")
    sync = Sync(replica, folder_store, lambda: nullcontext(None), public_key=shop.key, fleet=fleet)

    with ModelControl(triton.address) as control:
        control.load(shop.name("encoder"), shop.name("tower"))
        control.load(shop.name("rank") + "_r1")
    status = sync.look()
    assert f"r1 waits for Triton at {other.address}: " in status.problem
    assert (status.ready, status.refusals, read_channels(replica)) == (False, 0, Channels())

    shutil.copytree(triton.model_repository, other.model_repository, dirs_exist_ok=True)
    with ModelControl(other.address) as control:
        control.load(shop.name("encoder"), shop.name("tower"))
        control.load(shop.name("rank") + "_r1")
    status = sync.look()
    assert (status.problem, status.ready, status.in_step) == ("", True, True)
    assert read_channels(replica) == Channels(stable="r1")


def test_where_no_triton_answers_a_release_waits(shop: Shop) -> None:
    with pytest.raises(FleetBehind, match=r"r1 waits: no Triton answers at 127\.0\.0\.1:1"):
        Fleet.parse(GONE).require({"r1": read_manifest(shop.release("r1"))})


def test_a_name_stands_for_all_of_its_addresses_and_an_unknown_one_for_none() -> None:
    assert "127.0.0.1:8001" in Fleet.parse("localhost:8001").addresses()
    assert Fleet.parse("[::1]:8001").addresses() == ["[::1]:8001"]
    assert Fleet.parse("nobody.invalid:8001").addresses() == []


@pytest.mark.parametrize("text", ["triton", "triton:", ":8001", "a:1,,b:2"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ShopfuseError, match="expected HOST:PORT"):
        Fleet.parse(text)
