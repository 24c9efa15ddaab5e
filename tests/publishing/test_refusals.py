"""What publishing refuses: the error says why and what to do, and what served before serves on."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.lock import publisher_lock
from shopfuse.publishing.placing import STAGING
from shopfuse.publishing.publish import publish
from shopfuse.publishing.reconcile import reconcile
from shopfuse.publishing.rollback import promote, rollback
from shopfuse.release.channels import Channels
from shopfuse.release.signature import create_keys
from shopfuse.release.verify import read_manifest
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from tests.publishing.publishing_child import REFUSED, run_child
from tests.publishing.tiny_release import Scaling, Shop, ask, new_shop
from tests.tritons import QUICK, is_ready
from tests.waiting import wait_until

FAILED: dict[str, object] = {"passed": False, "max_abs_diff": 0.25}


@contextmanager
def refused(shop: Shop, match: str) -> Iterator[None]:
    """The block raises PublishError; channels and the models in the repository are as before."""
    channels, placed = shop.channels, shop.placed()
    with pytest.raises(PublishError, match=match):
        yield
    assert shop.channels == channels
    assert shop.placed() == placed
    assert not (shop.repository / STAGING).exists()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, triton: LocalTriton, control: ModelControl) -> Shop:
    """r1 is published, r2 is not."""
    shop = new_shop(tmp_path_factory.mktemp("refusals") / "shop", "served", triton.model_repository)
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
    shop.add("r2", Scaling(2, 5.0), Scaling(1, 2.0))
    publish(shop.root, "r1", control=control, public_key=shop.key)
    return shop


@pytest.fixture
def served(first: Shop, tmp_path: Path, control: ModelControl) -> Iterator[Shop]:
    """A copy of `first` to damage, on the same models: a refusal leaves those, and r1 answers as at the beginning."""
    shutil.copytree(first.root, tmp_path / "shop", symlinks=True)
    shop = Shop(tmp_path / "shop", first.tag)
    yield shop
    assert shop.channels == Channels(stable="r1")
    assert ask(control, shop, "r1") == 6


@pytest.mark.parametrize("damage", ["change a model", "change an index", "lose a file", "change the manifest"])
def test_a_changed_release_is_refused_by_name(served: Shop, control: ModelControl, damage: str) -> None:
    victim = {
        "change a model": served.release("r2") / "models" / served.name("encoder") / "2" / "model.onnx",
        "change an index": served.release("r2") / "items" / "item_vectors.npy",
        "lose a file": served.release("r2") / "models" / served.name("tower") / "config.pbtxt",
        "change the manifest": served.release("r2") / "manifest.json",
    }[damage]
    if damage == "lose a file":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes() + b" ")

    with refused(served, rf"'verify', nothing changed: .*{victim.name}.*build a new release"):
        publish(served.root, "r2", control=control, public_key=served.key)


def test_another_key_is_refused(served: Shop, control: ModelControl, tmp_path: Path) -> None:
    create_keys(tmp_path / "other")

    with refused(served, "the signature does not fit"):
        publish(served.root, "r2", control=control, public_key=tmp_path / "other" / "release.pub")


def test_a_release_without_signature_is_refused(served: Shop, control: ModelControl) -> None:
    (served.release("r2") / "manifest.sig").unlink()

    with refused(served, r"manifest\.sig: cannot be read"):
        publish(served.root, "r2", control=control, public_key=served.key)


@pytest.mark.parametrize("name", ["r9", "../r2", ""])
def test_a_release_that_is_not_there_is_refused_with_those_that_are(
    served: Shop, control: ModelControl, name: str
) -> None:
    with refused(served, r"there is no release .*there are: r1, r2"):
        publish(served.root, name, control=control, public_key=served.key)


def test_a_release_in_the_folder_of_another_is_refused(served: Shop, control: ModelControl) -> None:
    served.release("r2").rename(served.release("r3"))

    with refused(served, "this is release 'r2'"):
        publish(served.root, "r3", control=control, public_key=served.key)


@pytest.mark.parametrize(("parity", "told"), [(FAILED, "max_abs_diff 0.25"), (None, "no parity report")])
def test_a_model_that_failed_its_parity_check_is_refused(
    served: Shop, control: ModelControl, parity: dict[str, object] | None, told: str
) -> None:
    served.add("r3", Scaling(3, 7.0), Scaling(1, 2.0), parity=parity)

    with refused(served, rf"encoder: .*{told}.*no reason to accept"):
        publish(served.root, "r3", control=control, public_key=served.key)


def test_a_failed_parity_check_with_a_reason_is_published(shop: Shop, control: ModelControl) -> None:
    shop.add("r3", Scaling(3, 7.0), Scaling(1, 2.0), parity=FAILED, reason="int8 costs 0.001 NDCG")

    publish(shop.root, "r3", control=control, public_key=shop.key)

    assert ask(control, shop, "r3") == 14


def test_a_release_before_that_is_lost_does_not_stop_the_next_one(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=None, public_key=shop.key)
    publish(shop.root, "r2", control=None, public_key=shop.key)
    shutil.rmtree(shop.release("r1"))
    shop.add("r3", Scaling(3, 7.0), Scaling(1, 2.0))

    publish(shop.root, "r3", control=control, public_key=shop.key)

    assert shop.channels == Channels(stable="r3", previous="r2")
    assert ask(control, shop, "r3") == 14


def test_another_configuration_under_a_known_name_is_refused(served: Shop, control: ModelControl) -> None:
    served.add("r3", Scaling(3, 7.0), Scaling(2, 3.0), options="dynamic_batching {}")

    with refused(served, r"config\.pbtxt: .*one content: build the release again"):
        publish(served.root, "r3", control=control, public_key=served.key)


def test_other_bytes_under_a_known_version_are_refused(served: Shop, control: ModelControl) -> None:
    served.add("r3", Scaling(1, 7.0), Scaling(1, 2.0))

    with refused(served, r"1/model\.onnx: .*one content"):
        publish(served.root, "r3", control=control, public_key=served.key)


def test_a_model_that_triton_cannot_load_is_taken_back(served: Shop, control: ModelControl) -> None:
    break_model(served, "r2")

    with refused(served, "'load', nothing changed: .*cannot load"):
        publish(served.root, "r2", control=control, public_key=served.key)


def test_a_version_that_a_killed_run_left_and_that_does_not_load_stops_no_other(
    shop: Shop, control: ModelControl
) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    break_model(shop, "r2")
    child = run_child(workspace=shop.root, release="r2", triton=control.address, step="load")
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert f"{shop.name('encoder')}/2" in shop.placed()
    shop.add("r3", Scaling(3, 7.0), Scaling(1, 2.0))

    publish(shop.root, "r3", control=control, public_key=shop.key)

    assert (ask(control, shop, "r1"), ask(control, shop, "r3")) == (6, 14)


def break_model(shop: Shop, release_id: str) -> None:
    encoder = read_manifest(shop.release(release_id)).models["encoder"]
    (shop.release(release_id) / "models" / encoder.model / str(encoder.version) / "model.onnx").write_bytes(b"no ONNX")
    shop.resign(release_id)


def test_golden_queries_that_fail_take_the_release_back(served: Shop, control: ModelControl) -> None:
    served.add("r3", Scaling(3, 7.0), Scaling(1, 2.0), expected=14.5)

    with refused(served, r"'golden', nothing changed: .*tower.* differs .*0\.5.*do not publish"):
        publish(served.root, "r3", control=control, public_key=served.key)

    assert not is_ready(control.address, f"{served.name('rank')}_r3")
    assert not is_ready(control.address, served.name("encoder"), "3")


def test_what_was_taken_back_can_be_published_later(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    golden = shop.release("r2") / "golden.safetensors"
    whole = golden.read_bytes()
    golden.unlink()
    shop.resign("r2")
    with refused(shop, "a release without golden queries is not published"):
        publish(shop.root, "r2", control=control, public_key=shop.key)
    golden.write_bytes(whole)
    shop.resign("r2")

    result = publish(shop.root, "r2", control=control, public_key=shop.key)

    assert result.golden["cases"] == 1
    assert (ask(control, shop, "r1"), ask(control, shop, "r2")) == (6, 10)


def test_a_refused_publish_of_the_release_before_does_not_take_it_away(shop: Shop, control: ModelControl) -> None:
    shop.add("r3", Scaling(3, 7.0), Scaling(1, 2.0), expected=14.5)
    publish(shop.root, "r3", control=None, public_key=shop.key)
    publish(shop.root, "r2", control=control, public_key=shop.key)

    with refused(shop, "'golden', nothing changed"):
        publish(shop.root, "r3", control=control, public_key=shop.key)

    assert (ask(control, shop, "r2"), ask(control, shop, "r3")) == (10, 14)


def test_two_publishers_at_once_are_refused_with_the_others_pid(served: Shop, control: ModelControl) -> None:
    with publisher_lock(served.root), refused(served, rf"'lock', nothing changed: .*process {os.getpid()} is publish"):
        publish(served.root, "r2", control=control, public_key=served.key)


def test_triton_down_is_an_error_with_its_address(served: Shop) -> None:
    with ModelControl("127.0.0.1:1") as nobody, refused(served, r"127\.0\.0\.1:1 does not answer\. Start it"):
        publish(served.root, "r2", control=nobody, public_key=served.key)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(served: Shop, share: float) -> None:
    with refused(served, "share: expected more than 0 and at most 1"):
        publish(served.root, "r2", control=None, public_key=served.key, share=share)


def test_a_canary_needs_a_stable_release_that_is_another(shop: Shop) -> None:
    with refused(shop, "nothing is published yet"):
        publish(shop.root, "r1", control=None, public_key=shop.key, share=0.1)
    publish(shop.root, "r1", control=None, public_key=shop.key)
    with refused(shop, "r1 is stable"):
        publish(shop.root, "r1", control=None, public_key=shop.key, share=0.1)


def test_there_must_be_a_canary_to_promote_and_a_release_to_go_back_to(served: Shop) -> None:
    with refused(served, "there is no canary"):
        promote(served.root, control=None, public_key=served.key)
    with refused(served, "no release was stable before r1"):
        rollback(served.root, control=None, public_key=served.key)


def test_a_damaged_release_is_not_rolled_back_to(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    publish(shop.root, "r2", control=control, public_key=shop.key)
    (shop.release("r1") / "items" / "item_vectors.npy").write_bytes(b"other")

    with refused(shop, r"rollback stopped at 'verify', nothing changed: .*item_vectors\.npy"):
        rollback(shop.root, control=control, public_key=shop.key)


def test_a_canary_ends_even_where_the_stable_release_is_damaged(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    publish(shop.root, "r2", control=control, public_key=shop.key, share=0.5)
    (shop.release("r1") / "items" / "item_vectors.npy").write_bytes(b"other")

    result = rollback(shop.root, control=control, public_key=shop.key)

    assert shop.channels == Channels(stable="r1")
    assert "item_vectors.npy" in result.warnings[0]


def test_a_full_disk_is_named_and_nothing_is_left_behind(shop: Shop) -> None:
    publish(shop.root, "r1", control=None, public_key=shop.key)
    shop.add("r3", Scaling(3, 7.0, ballast=300_000), Scaling(2, 3.0))
    channels, placed = shop.channels, shop.placed()

    child = run_child(workspace=shop.root, release="r3", file_size=100_000)

    assert child.returncode == REFUSED, child.stderr
    assert "'place', nothing changed" in child.stdout
    assert f"{STAGING}/" in child.stdout
    assert "File too large" in child.stdout
    assert (shop.channels, shop.placed()) == (channels, placed)
    assert not (shop.repository / STAGING).exists()


def test_triton_killed_while_it_loads_leaves_the_pointer_and_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "model_repository").mkdir()
    shop = new_shop(tmp_path / "shop", "t", tmp_path / "model_repository")
    shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
    shop.add("r2", Scaling(2, 5.0), Scaling(1, 2.0))
    triton = LocalTriton(tmp_path / "model_repository", tmp_path / "triton.log", QUICK)
    killed = threading.Event()

    def kill(stage: str, done: int, total: int) -> None:
        if (stage, done, total) == ("publish: load", 1, 2) and not killed.is_set():
            os.kill(triton.pid, signal.SIGKILL)
            wait_until(lambda: not triton.alive)
            killed.set()

    with triton, ModelControl(triton.address) as control:
        publish(shop.root, "r1", control=control, public_key=shop.key)
        with pytest.raises(PublishError, match="'load', nothing changed"):
            publish(shop.root, "r2", control=control, public_key=shop.key, progress=kill)
        assert shop.channels == Channels(stable="r1")

        triton.restart()
        assert reconcile(shop.root, control, public_key=shop.key).ready == ("r1",)
        assert ask(control, shop, "r1") == 6
        publish(shop.root, "r2", control=control, public_key=shop.key)
        assert (ask(control, shop, "r1"), ask(control, shop, "r2")) == (6, 10)
