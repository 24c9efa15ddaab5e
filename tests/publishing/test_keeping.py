"""Beside a Triton: what the channels name is loaded, what they no longer name goes, and probes hear how it stands."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shopfuse.publishing.__main__ import Keeper, answered, main
from shopfuse.publishing.publish import publish
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, ask
from tests.waiting import wait_until


def probe(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode().strip()


@contextmanager
def keeping(shop: Shop, control: ModelControl) -> Iterator[tuple[Keeper, int]]:
    keeper = Keeper(shop.root, control, shop.key)
    with answered(keeper, "127.0.0.1", 0) as port:
        yield keeper, port


def unpublished(shop: Shop, release_id: str, share: float | None = None) -> None:
    """In the channels, and not loaded: as where the pointer came from elsewhere."""
    publish(shop.root, release_id, control=None, public_key=shop.key, share=share)


def test_it_is_ready_once_the_stable_release_answers(shop: Shop, control: ModelControl) -> None:
    with keeping(shop, control) as (keeper, port):
        assert probe(port, "/ready")[0] == 503
        unpublished(shop, "r1")

        assert keeper.look()

        assert probe(port, "/ready") == (200, "ok") and probe(port, "/live") == (200, "ok")
        assert ask(control, shop, "r1") == 6


def test_nothing_published_is_not_ready_and_says_so(shop: Shop, control: ModelControl) -> None:
    with keeping(shop, control) as (keeper, port):
        keeper.look()

        assert probe(port, "/ready") == (503, "Triton does not answer with any release")


def test_models_that_triton_lost_are_loaded_again(shop: Shop, control: ModelControl) -> None:
    unpublished(shop, "r1")
    with keeping(shop, control) as (keeper, port):
        keeper.look()
        control.unload(shop.name("rank") + "_r1")

        assert keeper.look()

        assert probe(port, "/ready")[0] == 200 and ask(control, shop, "r1") == 6


def test_it_stays_ready_with_the_last_release_where_the_next_cannot_be_loaded(
    shop: Shop, control: ModelControl
) -> None:
    unpublished(shop, "r1")
    with keeping(shop, control) as (keeper, port):
        keeper.look()
        unpublished(shop, "r2")
        (shop.release("r2") / "manifest.sig").unlink()

        assert not keeper.look()

        assert probe(port, "/ready")[0] == 200 and ask(control, shop, "r1") == 6


def test_a_broken_canary_is_tried_again_and_the_stable_release_is_ready(shop: Shop, control: ModelControl) -> None:
    unpublished(shop, "r1")
    unpublished(shop, "r2", share=0.5)
    signature = shop.release("r2") / "manifest.sig"
    signed = signature.read_bytes()
    signature.unlink()
    with keeping(shop, control) as (keeper, port):
        assert not keeper.look()
        assert probe(port, "/ready")[0] == 200
        signature.write_bytes(signed)

        assert keeper.look()

        assert ask(control, shop, "r2") == 10


def test_what_no_channel_names_any_more_leaves_triton_and_the_repository(shop: Shop, control: ModelControl) -> None:
    shop.add("r3", Scaling(3, 7.0), Scaling(1, 2.0))
    with keeping(shop, control) as (keeper, _):
        for release_id in ("r1", "r2", "r3"):
            unpublished(shop, release_id)
            assert keeper.look()

        encoder = shop.name("encoder")
        assert {f"{encoder}/2", f"{encoder}/3"} == {name for name in shop.placed() if name.startswith(encoder)}
        assert (ask(control, shop, "r2"), ask(control, shop, "r3")) == (10, 14)


def test_a_triton_that_is_gone_is_not_ready(shop: Shop) -> None:
    unpublished(shop, "r1")
    with ModelControl("127.0.0.1:1") as nobody, keeping(shop, nobody) as (keeper, port):
        assert keeper.look()  # to be asked again soon: nothing was refused

        assert probe(port, "/ready")[0] == 503


def test_unknown_paths_are_not_found(shop: Shop, control: ModelControl) -> None:
    with keeping(shop, control) as (_, port):
        assert probe(port, "/metrics")[0] == 404


def test_models_are_placed_before_triton_starts(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workspace", str(shop.root), "--place"]
    assert main(arguments) == 1
    assert "nothing is published yet" in capsys.readouterr().err
    unpublished(shop, "r1")
    for name in shop.placed():
        (shop.repository / name.partition("/")[0] / "config.pbtxt").unlink()

    assert main(arguments) == 0

    assert (shop.repository / shop.name("tower") / "config.pbtxt").is_file()


def test_a_damaged_stable_release_is_not_placed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    unpublished(shop, "r1")
    (shop.release("r1") / "manifest.sig").unlink()

    assert main(["--workspace", str(shop.root), "--place"]) == 1
    assert "the stable release r1 is not placed" in capsys.readouterr().err


def test_as_a_process_it_works_until_sigterm(shop: Shop, control: ModelControl, tmp_path: Path) -> None:
    unpublished(shop, "r1")
    command = [sys.executable, "-m", "shopfuse.publishing", "--workspace", str(shop.root), "--port", "0"]
    log = tmp_path / "keeper.log"
    with (
        log.open("w") as file,
        subprocess.Popen([*command, "--triton", control.address, "--every", "0.05"], stderr=file) as process,
    ):
        try:
            wait_until(lambda: ": ready" in log.read_text())
            process.terminate()

            assert process.wait(30) == 0
        finally:
            process.kill()
