"""Without a store, beside a Triton: it loads what the channels name, drops what they no longer name, answers probes."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shopfuse.publishing.publish import publish
from shopfuse.release_store import probes as probes_module
from shopfuse.release_store import sync as sync_module
from shopfuse.release_store.probes import answering
from shopfuse.release_store.sync import Sync
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, ask, new_shop
from tests.waiting import wait_until

numbers = itertools.count(1)


@pytest.fixture
def shop(tmp_path: Path, triton: LocalTriton) -> Shop:
    """With r1 (answers 6) and r2 (answers 10), neither published."""
    shop = new_shop(tmp_path / "shop", f"k{next(numbers)}", triton.model_repository)
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
    shop.add("r2", Scaling(2, 5.0), Scaling(1, 2.0))
    return shop


@pytest.fixture
def control(triton: LocalTriton) -> Iterator[ModelControl]:
    with ModelControl(triton.address) as connected:
        yield connected


def probe(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode().strip()


@contextmanager
def keeping(shop: Shop, address: str) -> Iterator[tuple[Sync, int]]:
    sync = Sync(shop.root, None, lambda: ModelControl(address), public_key=shop.key, linger_s=0.0)
    with answering(sync, "127.0.0.1:0") as port:
        yield sync, port


def unpublished(shop: Shop, release_id: str, share: float | None = None) -> None:
    """In the channels, and not loaded: as where the pointer came from elsewhere."""
    publish(shop.root, release_id, control=None, public_key=shop.key, share=share)


def test_it_is_ready_once_the_stable_release_answers(shop: Shop, control: ModelControl) -> None:
    with keeping(shop, control.address) as (sync, port):
        assert probe(port, "/ready")[0] == 503
        unpublished(shop, "r1")

        assert not sync.look().problem

        assert probe(port, "/ready") == (200, "ok") and probe(port, "/live") == (200, "ok")
        assert ask(control, shop, "r1") == 6


def test_nothing_published_is_not_ready_and_says_so(shop: Shop, control: ModelControl) -> None:
    with keeping(shop, control.address) as (sync, port):
        sync.look()

        status, text = probe(port, "/ready")
        assert status == 503 and "nothing is published yet" in text


def test_models_that_triton_lost_are_loaded_again(shop: Shop, control: ModelControl) -> None:
    unpublished(shop, "r1")
    with keeping(shop, control.address) as (sync, port):
        sync.look()
        control.unload(shop.name("rank") + "_r1")

        assert not sync.look().problem

        assert probe(port, "/ready")[0] == 200 and ask(control, shop, "r1") == 6


def test_it_stays_ready_with_the_last_release_where_the_next_cannot_be_loaded(
    shop: Shop, control: ModelControl
) -> None:
    unpublished(shop, "r1")
    with keeping(shop, control.address) as (sync, port):
        sync.look()
        unpublished(shop, "r2")
        (shop.release("r2") / "manifest.sig").unlink()

        assert sync.look().problem

        assert probe(port, "/ready")[0] == 200 and ask(control, shop, "r1") == 6


def test_a_broken_canary_is_tried_again_and_the_stable_release_is_ready(
    shop: Shop, control: ModelControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "RETRY_REFUSED_S", 0.0)
    unpublished(shop, "r1")
    unpublished(shop, "r2", share=0.5)
    signature = shop.release("r2") / "manifest.sig"
    signed = signature.read_bytes()
    signature.unlink()
    with keeping(shop, control.address) as (sync, port):
        assert sync.look().problem
        assert probe(port, "/ready")[0] == 200
        signature.write_bytes(signed)

        assert not sync.look().problem

        assert ask(control, shop, "r2") == 10


def test_what_no_channel_names_any_more_leaves_triton_and_the_repository(shop: Shop, control: ModelControl) -> None:
    shop.add("r3", Scaling(3, 7.0), Scaling(1, 2.0))
    with keeping(shop, control.address) as (sync, _):
        for release_id in ("r1", "r2", "r3"):
            unpublished(shop, release_id)
            assert not sync.look().problem

        encoder = shop.name("encoder")
        assert {f"{encoder}/2", f"{encoder}/3"} == {name for name in shop.placed() if name.startswith(encoder)}
        assert (ask(control, shop, "r2"), ask(control, shop, "r3")) == (10, 14)


def test_a_triton_that_is_gone_is_not_ready(shop: Shop) -> None:
    unpublished(shop, "r1")
    with keeping(shop, "127.0.0.1:1") as (sync, port):
        sync.look()

        status, text = probe(port, "/ready")
        assert status == 503 and "does not answer" in text


def test_a_sync_that_hangs_is_not_alive(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with keeping(shop, "127.0.0.1:1") as (sync, port):
        assert probe(port, "/live") == (200, "ok")
        monkeypatch.setattr(probes_module, "STUCK_S", 5.0)
        sync.looking_since -= 60.0

        status, text = probe(port, "/live")
        assert status == 503 and "the last look began 60 s ago" in text


def test_prometheus_reads_how_it_stands(shop: Shop, control: ModelControl) -> None:
    unpublished(shop, "r1")
    with keeping(shop, control.address) as (sync, port):
        sync.look()
        status, text = probe(port, "/metrics")

    lines = text.splitlines()
    assert status == 200
    assert {"shopfuse_sync_ready 1.0", "shopfuse_sync_in_step 1.0", "shopfuse_sync_looks_total 1.0"} <= set(lines)


def test_unknown_paths_are_not_found(shop: Shop) -> None:
    with keeping(shop, "127.0.0.1:1") as (_, port):
        assert probe(port, "/else")[0] == 404


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shopfuse.cli.release_store", "sync", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_models_are_placed_before_triton_starts(shop: Shop) -> None:
    arguments = ("--workspace", str(shop.root), "--once")
    early = run(*arguments)
    unpublished(shop, "r1")
    for name in shop.placed():
        (shop.repository / name.partition("/")[0] / "config.pbtxt").unlink()
    done = run(*arguments)

    assert early.returncode == 1 and "nothing is published yet" in early.stderr
    assert done.returncode == 0, done.stderr
    assert (shop.repository / shop.name("tower") / "config.pbtxt").is_file()


def test_a_damaged_stable_release_is_not_placed(shop: Shop) -> None:
    unpublished(shop, "r1")
    (shop.release("r1") / "manifest.sig").unlink()
    done = run("--workspace", str(shop.root), "--once")

    assert done.returncode == 1
    assert "the stable release r1 is not placed" in " ".join(done.stderr.split())


def test_as_a_process_it_works_until_sigterm(shop: Shop, control: ModelControl, tmp_path: Path) -> None:
    unpublished(shop, "r1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "shopfuse.cli.release_store", "sync", "--workspace", str(shop.root)]
    options = ["--every", "50ms", "--triton", control.address, "--probes", f"127.0.0.1:{port}"]
    with subprocess.Popen([*command, *options]) as process:
        try:
            wait_until(lambda: answers_ready(port))
            process.terminate()

            assert process.wait(30) == 0
        finally:
            process.kill()


def answers_ready(port: int) -> bool:
    try:
        return probe(port, "/ready")[0] == 200
    except OSError:
        return False


def test_bad_addresses_are_one_line(shop: Shop) -> None:
    unpublished(shop, "r1")
    probes = run("--workspace", str(shop.root), "--probes", "8003")
    fleet = run("--workspace", str(shop.root), "--wait-for", "triton")

    assert (probes.returncode, fleet.returncode) == (1, 1)
    assert "--probes 8003: expected HOST:PORT" in probes.stderr
    assert "'triton': expected HOST:PORT" in fleet.stderr
