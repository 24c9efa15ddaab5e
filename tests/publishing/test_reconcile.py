"""A Triton that starts with nothing serves what the channels name, whatever became of its repository meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.publish import publish
from shopfuse.publishing.reconcile import reconcile
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, ask


@pytest.fixture
def restarted(shop: Shop, control: ModelControl) -> Iterator[Shop]:
    """r1 is stable and r2 its canary, and Triton has none of their models loaded: as after a restart."""
    publish(shop.root, "r1", control=None, public_key=shop.key)
    publish(shop.root, "r2", control=None, public_key=shop.key, share=0.5)
    yield shop


def model_file(folder: Path, shop: Shop, version: int) -> Path:
    return folder / shop.name("encoder") / str(version) / "model.onnx"


def test_every_release_of_a_channel_is_loaded(restarted: Shop, control: ModelControl) -> None:
    result = reconcile(restarted.root, control, public_key=restarted.key)

    assert result.ready == ("r1", "r2")
    assert (result.placed, result.problems) == ((), {})
    assert (ask(control, restarted, "r1"), ask(control, restarted, "r2")) == (6, 10)


def test_an_empty_repository_is_filled_again(restarted: Shop, control: ModelControl) -> None:
    for folder in list(restarted.repository.glob(f"*_{restarted.tag}*")):
        shutil.rmtree(folder)

    result = reconcile(restarted.root, control, public_key=restarted.key)

    assert len(result.placed) == 5
    assert (ask(control, restarted, "r1"), ask(control, restarted, "r2")) == (6, 10)


@pytest.mark.parametrize("version", [1, 2])
def test_a_damaged_model_is_repaired_from_its_release(restarted: Shop, control: ModelControl, version: int) -> None:
    model_file(restarted.repository, restarted, version).write_bytes(b"no ONNX")

    assert reconcile(restarted.root, control, public_key=restarted.key).ready == ("r1", "r2")
    assert (ask(control, restarted, "r1"), ask(control, restarted, "r2")) == (6, 10)


def test_a_damaged_configuration_is_repaired(restarted: Shop, control: ModelControl) -> None:
    (restarted.repository / restarted.name("tower") / "config.pbtxt").write_text("nothing")

    assert reconcile(restarted.root, control, public_key=restarted.key).ready == ("r1", "r2")


def test_a_canary_that_cannot_be_read_does_not_stop_the_stable_release(restarted: Shop, control: ModelControl) -> None:
    (restarted.release("r2") / "manifest.sig").unlink()

    result = reconcile(restarted.root, control, public_key=restarted.key)

    assert result.ready == ("r1",)
    assert "manifest.sig" in result.problems["r2"]
    assert ask(control, restarted, "r1") == 6


def test_a_canary_that_cannot_be_loaded_does_not_stop_the_stable_release(
    restarted: Shop, control: ModelControl
) -> None:
    """Triton loads all versions of a model or none: the canary's is set aside, tried after it, and set aside again."""
    broken = model_file(restarted.release("r2") / "models", restarted, 2)
    broken.write_bytes(b"no ONNX")
    restarted.resign("r2")
    shutil.copy(broken, model_file(restarted.repository, restarted, 2))

    result = reconcile(restarted.root, control, public_key=restarted.key)

    assert result.ready == ("r1",)
    assert "cannot load" in result.problems["r2"]
    assert ask(control, restarted, "r1") == 6


def test_a_broken_stable_release_is_an_error_and_the_others_are_loaded(restarted: Shop, control: ModelControl) -> None:
    (restarted.release("r1") / "manifest.json").write_text("{}")

    with pytest.raises(PublishError, match=r"the stable release r1 is not served: .*manifest\.json"):
        reconcile(restarted.root, control, public_key=restarted.key)

    assert ask(control, restarted, "r2") == 10


def test_a_release_that_claims_another_ones_version_is_told_and_not_loaded(shop: Shop, control: ModelControl) -> None:
    shop.add("r3", Scaling(1, 7.0), Scaling(1, 2.0))
    publish(shop.root, "r1", control=None, public_key=shop.key)
    channels = shop.root / "releases" / "channels.json"
    channels.write_text('{"stable": "r1", "canary": "r3", "canary_share": 0.5}')

    result = reconcile(shop.root, control, public_key=shop.key)

    assert result.ready == ("r1",)
    assert "another file" in result.problems["r3"]
    assert ask(control, shop, "r1") == 6


def test_where_nothing_is_published_nothing_is_asked(shop: Shop) -> None:
    with ModelControl("127.0.0.1:1") as nobody:
        assert reconcile(shop.root, nobody, public_key=shop.key).ready == ()


def test_triton_down_is_an_error_with_its_address(restarted: Shop) -> None:
    with ModelControl("127.0.0.1:1") as nobody, pytest.raises(PublishError, match=r"127\.0\.0\.1:1 does not answer"):
        reconcile(restarted.root, nobody, public_key=restarted.key)
