"""Pruning removes what nobody uses, and nothing else: in Triton, in the model repository, among the releases."""

from __future__ import annotations

import json

import pytest

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.errors import PublishError
from shopfuse.publishing.prune import prune
from shopfuse.publishing.publish import publish
from shopfuse.release.ids import release_ids
from shopfuse.release.leases import EXPIRED_S
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, ask, write_lease
from tests.tritons import is_ready


@pytest.fixture
def placed(shop: Shop) -> Shop:
    """r1, r2, r3 published one after the other, so that no channel names r1; r4 built and not published."""
    shop.add("r3", Scaling(3, 7.0), Scaling(2, 3.0))
    shop.add("r4", Scaling(4, 9.0), Scaling(2, 3.0))
    for release_id in ("r1", "r2", "r3"):
        publish(shop.root, release_id, control=None, public_key=shop.key)
    return shop


@pytest.fixture
def many(placed: Shop, control: ModelControl) -> Shop:
    """And Triton serves them."""
    control.load(placed.name("encoder"), placed.name("tower"))
    control.load(*(f"{placed.name('rank')}_{release_id}" for release_id in ("r1", "r2", "r3")))
    return placed


def test_what_no_channel_names_goes_and_the_rest_answers(many: Shop, control: ModelControl) -> None:
    result = prune(many.root, keep=0, control=control)

    assert result.removed == ("r1",)
    assert result.removed_models == (f"{many.name('rank')}_r1", f"{many.name('encoder')}/1")
    assert set(release_ids(WorkspacePaths(many.root).releases)) == {"r2", "r3", "r4"}
    assert many.placed() == {
        f"{many.name('encoder')}/2",
        f"{many.name('encoder')}/3",
        f"{many.name('tower')}/1",
        f"{many.name('tower')}/2",
        f"{many.name('rank')}_r2/1",
        f"{many.name('rank')}_r3/1",
    }
    assert not is_ready(control.address, f"{many.name('rank')}_r1")
    assert not is_ready(control.address, many.name("encoder"), "1")
    assert (ask(control, many, "r2"), ask(control, many, "r3")) == (10, 21)
    assert result.kept == {"r3": "stable", "r2": "previous", "r4": result.kept["r4"]}
    assert "the latest" in result.kept["r4"]


def test_what_a_gateway_holds_stays_until_its_lease_ends(many: Shop, control: ModelControl) -> None:
    write_lease(many.root, "elsewhere-7", holds=("r1",))

    assert prune(many.root, keep=0, control=control).kept["r1"] == "held by gateway elsewhere-7"
    assert ask(control, many, "r1") == 6
    write_lease(many.root, "elsewhere-7", holds=("r1",), age_s=EXPIRED_S + 1)

    assert prune(many.root, keep=0, control=control).removed == ("r1",)


def test_releases_that_are_kept_besides_lose_their_models_and_come_back(many: Shop, control: ModelControl) -> None:
    result = prune(many.root, keep=1, control=control)

    assert result.removed == ()
    assert f"{many.name('rank')}_r1" in result.removed_models
    publish(many.root, "r1", control=control, public_key=many.key)
    assert ask(control, many, "r1") == 6


def test_a_model_that_no_release_in_use_has_goes_altogether(many: Shop, control: ModelControl) -> None:
    other = Shop(many.root, f"{many.tag}_old")
    other.add("r5", Scaling(1, 2.0), Scaling(1, 2.0))
    publish(many.root, "r5", control=control, public_key=many.key, share=0.1)
    publish(many.root, "r3", control=control, public_key=many.key)

    prune(many.root, keep=0, control=control)

    assert not (many.repository / other.name("encoder")).exists()
    assert not is_ready(control.address, other.name("encoder"))


def test_a_folder_that_no_release_explains_is_left_alone(many: Shop, control: ModelControl) -> None:
    (many.repository / f"own_{many.tag}" / "1").mkdir(parents=True)
    (many.release("r7") / "notes").mkdir(parents=True)
    (many.release("r1-copy")).mkdir()

    result = prune(many.root, keep=0, control=control)

    assert (many.repository / f"own_{many.tag}" / "1").is_dir()
    assert "by hand" in result.kept["r7"]
    assert many.release("r1-copy").is_dir()


def test_without_triton_the_folders_go(placed: Shop) -> None:
    assert prune(placed.root, keep=0, control=None).removed == ("r1",)
    assert f"{placed.name('encoder')}/1" not in placed.placed()


def test_nothing_goes_while_it_is_unknown_what_a_release_in_use_needs(placed: Shop) -> None:
    (placed.release("r2") / "manifest.json").write_text("{")

    with pytest.raises(PublishError, match=r"'choose', nothing changed: .*r2/manifest\.json"):
        prune(placed.root, keep=0, control=None)

    assert f"{placed.name('encoder')}/1" in placed.placed()


def test_with_triton_down_nothing_goes(placed: Shop) -> None:
    before = placed.placed()

    with ModelControl("127.0.0.1:1") as nobody, pytest.raises(PublishError, match=r"127\.0\.0\.1:1"):
        prune(placed.root, keep=0, control=nobody)

    assert placed.placed() == before
    assert "r1" in release_ids(WorkspacePaths(placed.root).releases)


def test_less_than_nothing_cannot_be_kept(placed: Shop) -> None:
    with pytest.raises(PublishError, match="keep: expected 0 or more releases, found -1"):
        prune(placed.root, keep=-1, control=None)


def test_pruning_is_a_line_of_the_publication_log(placed: Shop) -> None:
    prune(placed.root, keep=0, control=None)

    line = json.loads((placed.root / "releases" / "journal.jsonl").read_text().splitlines()[-1])
    assert line["action"] == "prune"
    assert line["details"]["removed"] == ["r1"]
