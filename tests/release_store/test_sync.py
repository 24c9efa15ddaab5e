"""A workspace follows the channels of a store, through a real Triton; whatever fails, what serves goes on serving."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
import pytest

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.publish import publish
from shopfuse.publishing.rollback import promote, rollback
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release_store import store as store_module
from shopfuse.release_store import sync as sync_module
from shopfuse.release_store.push import push_channels
from shopfuse.release_store.store import CHANNELS, ReleaseStore, StoreError
from shopfuse.release_store.sync import Sync
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, ask, new_shop, write_lease

tags = itertools.count(1)


@pytest.fixture
def origin(tmp_path: Path) -> Shop:
    """Its models have names of their own, so that tests share the Triton."""
    shop = new_shop(tmp_path / "origin", f"y{next(tags)}", tmp_path / "origin" / "model_repository")
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
    shop.add("r2", Scaling(2, 5.0), Scaling(1, 2.0))
    publish(shop.root, "r1", control=None, public_key=shop.key)
    return shop


@pytest.fixture
def served(replica: Path, triton: LocalTriton) -> Path:
    """The replica, whose models the Triton serves."""
    (replica / "model_repository").symlink_to(triton.model_repository)
    return replica


def push(origin: Shop, store: ReleaseStore) -> None:
    push_channels(origin.root, store, public_key=origin.key)


@pytest.fixture
def sync(served: Path, folder_store: ReleaseStore, triton: LocalTriton) -> Sync:
    return syncing(served, folder_store, triton)


def syncing(replica: Path, store: ReleaseStore, triton: LocalTriton) -> Sync:
    key = WorkspacePaths(replica).public_key
    return Sync(replica, store, lambda: ModelControl(triton.address), public_key=key, linger_s=0.0)


def answer(origin: Shop, triton: LocalTriton, release_id: str) -> float:
    with ModelControl(triton.address) as control:
        return ask(control, origin, release_id)


def test_publish_canary_promote_and_rollback_arrive(
    origin: Shop, served: Path, triton: LocalTriton, folder_store: ReleaseStore, sync: Sync
) -> None:
    def arrives() -> Channels:
        push(origin, folder_store)
        status = sync.look()
        assert (status.problem, status.ready, status.in_step) == ("", True, True)
        assert read_channels(served) == origin.channels == status.channels
        return status.channels

    assert arrives() == Channels(stable="r1")
    assert answer(origin, triton, "r1") == 6
    publish(origin.root, "r2", control=None, public_key=origin.key, share=0.25)
    assert arrives() == Channels(stable="r1", canary="r2", canary_share=0.25)
    assert (answer(origin, triton, "r1"), answer(origin, triton, "r2")) == (6, 10)
    promote(origin.root, control=None, public_key=origin.key)
    assert arrives() == Channels(stable="r2", previous="r1")
    rollback(origin.root, control=None, public_key=origin.key)
    assert arrives() == Channels(stable="r1", previous="r2")
    assert sync.status.changes == 4


def test_a_look_without_news_does_nothing(origin: Shop, folder_store: ReleaseStore, sync: Sync) -> None:
    push(origin, folder_store)
    sync.look()
    status = sync.look()

    assert (status.looks, status.changes, status.problem) == (2, 1, "")


def test_what_no_channel_names_is_removed_when_no_gateway_holds_it(
    origin: Shop, served: Path, folder_store: ReleaseStore, sync: Sync
) -> None:
    push(origin, folder_store)
    sync.look()
    origin.add("r3", Scaling(3, 7.0), Scaling(1, 2.0))
    for name in ("r2", "r3"):
        publish(origin.root, name, control=None, public_key=origin.key)
    write_lease(served, "elsewhere-7", ("r1",))
    push(origin, folder_store)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shopfuse.publishing.switch.GATEWAYS_WITHIN_S", 0.1)
        sync.look()
    assert (served / "releases" / "r1").exists()
    (WorkspacePaths(served).gateway_leases / "elsewhere-7.json").unlink()
    sync.look()
    assert not (served / "releases" / "r1").exists()
    assert read_channels(served) == Channels(stable="r3", previous="r2")
    assert not list((served / "model_repository").glob(f"rank_{origin.tag}_r1"))


def test_a_triton_that_lost_the_release_is_not_ready_until_it_has_it_again(
    origin: Shop, triton: LocalTriton, folder_store: ReleaseStore, sync: Sync, served: Path
) -> None:
    push(origin, folder_store)
    sync.look()
    with ModelControl(triton.address) as control:
        control.unload(f"{origin.name('rank')}_r1")
    assert folder_store.folder
    shutil.rmtree(folder_store.folder)  # the store is not needed for it
    folder_store.folder.mkdir()
    status = sync.look()

    assert status.ready and not status.in_step
    assert answer(origin, triton, "r1") == 6


def test_a_canary_that_answers_wrongly_is_left_out_and_the_stable_release_serves(
    origin: Shop, served: Path, triton: LocalTriton, folder_store: ReleaseStore, sync: Sync
) -> None:
    origin.add("r3", Scaling(3, 7.0), Scaling(1, 2.0), expected=15.0)
    publish(origin.root, "r3", control=None, public_key=origin.key, share=0.5)
    push(origin, folder_store)
    status = sync.look()

    assert "r3 is left out: sync stopped at 'golden'" in status.problem
    assert (status.ready, status.in_step, status.refusals) == (True, False, 1)
    assert read_channels(served) == Channels(stable="r1")
    assert answer(origin, triton, "r1") == 6
    assert sync.look().refusals == 1  # not tried again at once
    assert "golden" in sync.status.problem


def test_a_stable_release_that_cannot_serve_changes_nothing(
    origin: Shop, served: Path, folder_store: ReleaseStore, sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "RETRY_REFUSED_S", 0.0)
    push(origin, folder_store)
    sync.look()
    publish(origin.root, "r2", control=None, public_key=origin.key)
    push(origin, folder_store)
    assert folder_store.folder
    signature = folder_store.folder / "releases" / "r2" / "manifest.sig"
    content = signature.read_bytes()
    signature.write_bytes(b"0" * 64)
    status = sync.look()

    assert "signature does not fit" in status.problem
    assert (status.ready, status.in_step, status.refusals, status.store_failures) == (True, False, 1, 0)
    assert read_channels(served) == Channels(stable="r1")
    signature.write_bytes(content)
    assert sync.look().in_step
    assert read_channels(served) == Channels(stable="r2", previous="r1")


@contextmanager
def _refusing() -> Iterator[str]:
    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def _hanging() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def _gone() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (_refusing, "refuses these credentials"),
        (_hanging, "no answer from the store"),
        (_gone, "no answer from the store"),
    ],
)
def test_a_store_that_is_slow_gone_or_closed_is_counted_and_the_release_serves(
    broken: object,
    message: str,
    origin: Shop,
    served: Path,
    triton: LocalTriton,
    folder_store: ReleaseStore,
    sync: Sync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    push(origin, folder_store)
    sync.look()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.setattr(store_module, "RETRIES", 0)
    with broken() as endpoint:  # type: ignore[operator]
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        other = syncing(served, ReleaseStore.open("s3://bucket/shop"), triton)
        other.look()
        status = other.look()

    assert message in status.problem
    assert (status.ready, status.in_step, status.store_failures) == (True, False, 2)
    assert read_channels(served) == Channels(stable="r1")
    assert answer(origin, triton, "r1") == 6
    assert json.loads(WorkspacePaths(served).sync_status.read_text())["store_failures"] == 2


def test_without_a_release_a_workspace_is_not_ready(served: Path, folder_store: ReleaseStore, sync: Sync) -> None:
    assert not json.loads(WorkspacePaths(served).sync_status.read_text())["ready"]
    status = sync.look()

    assert not status.ready
    assert "nothing is published there yet" in status.problem


def test_a_status_that_cannot_be_written_ends_nothing(
    origin: Shop, folder_store: ReleaseStore, sync: Sync, served: Path
) -> None:
    """As on a full disk: whoever asks the probes is told all the same."""
    push(origin, folder_store)
    (path := WorkspacePaths(served).sync_status).unlink()
    path.mkdir()

    assert sync.look() is sync.status
    assert (sync.status.ready, sync.status.in_step) == (True, True)


def test_without_its_triton_a_workspace_is_not_ready(
    origin: Shop, served: Path, folder_store: ReleaseStore, sync: Sync
) -> None:
    push(origin, folder_store)
    sync.look()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    key = WorkspacePaths(served).public_key
    alone = Sync(served, folder_store, lambda: ModelControl(f"127.0.0.1:{port}"), public_key=key)
    status = alone.look()

    assert not status.ready
    assert "does not answer" in status.problem


def test_channels_that_are_damaged_change_nothing(
    origin: Shop, served: Path, folder_store: ReleaseStore, sync: Sync
) -> None:
    push(origin, folder_store)
    sync.look()
    obstore.put(folder_store.objects, CHANNELS, b"{")
    status = sync.look()

    assert "not the channels of a store" in status.problem
    assert status.ready and read_channels(served) == Channels(stable="r1")


def test_a_workspace_that_builds_is_not_synced(origin: Shop, folder_store: ReleaseStore, triton: LocalTriton) -> None:
    with pytest.raises(StoreError, match="releases are built in this workspace"):
        syncing(origin.root, folder_store, triton)


def shopfuse(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shopfuse.cli.release_store", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_one_look_says_by_its_exit_code_whether_all_is_in_step(
    origin: Shop, replica: Path, folder_store: ReleaseStore
) -> None:
    push(origin, folder_store)
    done = shopfuse("sync", folder_store.url, "-w", str(replica), "--once", "--json")
    assert folder_store.folder
    (folder_store.folder / CHANNELS).unlink()
    failed = shopfuse("sync", folder_store.url, "-w", str(replica), "--once")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["channels"]["stable"] == "r1"
    assert failed.returncode == 1
    assert "error: " in failed.stderr and "nothing is published there yet" in failed.stderr
    assert read_channels(replica) == Channels(stable="r1")


def test_bad_options_are_one_line(replica: Path) -> None:
    every = shopfuse("sync", "file:///tmp/none", "-w", str(replica), "--every", "soon")
    scheme = shopfuse("pull", "ftp://host/x", "-w", str(replica))

    assert (every.returncode, scheme.returncode) == (1, 1)
    assert "--every soon: expected a time such as 10s" in every.stderr
    assert "ftp://host/x: expected s3://BUCKET/PREFIX" in scheme.stderr


def test_a_replica_needs_neither_exporters_nor_torch() -> None:
    heavy = ("torch", "onnx", "polars", "shopfuse_exporters", "shopfuse_gateway")
    code = f"import sys, shopfuse.cli.release_store; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
