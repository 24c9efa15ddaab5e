"""kill -9 at every step of a publish: what served before serves on, and the next publish succeeds."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from shopfuse.publishing.placing import STAGING, repository_problems
from shopfuse.publishing.publish import publish
from shopfuse.release.channels import Channels
from shopfuse.release.verify import read_manifest
from shopfuse.triton.model_control import ModelControl
from tests.publishing.publishing_child import run_child
from tests.publishing.tiny_release import Scaling, Shop, ask, new_shop

BEFORE, AFTER = Channels(stable="r1"), Channels(stable="r2", previous="r1")
STEPS = ("lock", "sweep", "channels", "verify", "parity", "triton", "place", "load", "golden", "flip")
STEPS_AFTER_FLIP = ("gateways", "journal")
# Within a step: (step, how many of its units were done)
BETWEEN = (("place", 1), ("place", 2), ("load", 1), ("load", 2))


def test_the_steps_below_are_all_there_are(shop: Shop, control: ModelControl) -> None:
    stages: dict[str, None] = {}
    publish(
        shop.root,
        "r1",
        control=control,
        public_key=shop.key,
        progress=lambda stage, done, total: stages.setdefault(stage),
    )

    assert tuple(stages) == tuple(f"publish: {step}" for step in STEPS + STEPS_AFTER_FLIP)


@pytest.mark.parametrize(
    ("step", "done"), [*((step, 0) for step in STEPS), *BETWEEN, ("flip", 1), *((step, 0) for step in STEPS_AFTER_FLIP)]
)
def test_a_kill_leaves_a_release_that_serves_and_publishing_again_succeeds(
    shop: Shop, control: ModelControl, step: str, done: int
) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    flipped = step in STEPS_AFTER_FLIP or (step, done) == ("flip", 1)

    child = run_child(workspace=shop.root, release="r2", triton=control.address, step=step, done=done)

    assert child.returncode == -signal.SIGKILL, child.stderr
    assert shop.channels == (AFTER if flipped else BEFORE)
    assert ask(control, shop, "r1") == 6
    if flipped:
        assert ask(control, shop, "r2") == 10
    publish(shop.root, "r2", control=control, public_key=shop.key)
    assert shop.channels == AFTER
    assert (ask(control, shop, "r1"), ask(control, shop, "r2")) == (6, 10)


def test_a_kill_before_any_flush_to_disk_leaves_whole_folders_only(tmp_path: Path) -> None:
    """The flushes mark every moment between two writes; the last run, with no flush left to die at, ends by itself."""
    codes: list[int] = []
    while 0 not in codes:
        shop = new_shop(tmp_path / f"shop{len(codes)}", "t", tmp_path / f"shop{len(codes)}" / "model_repository")
        shop.add("r1", Scaling(1, 3.0), Scaling(1, 2.0))
        shop.add("r2", Scaling(2, 5.0), Scaling(1, 2.0))
        publish(shop.root, "r1", control=None, public_key=shop.key)

        codes.append(run_child(workspace=shop.root, release="r2", sync=len(codes) + 1).returncode)

        assert shop.channels in (BEFORE, AFTER)
        assert_holds(shop, "r1")
        publish(shop.root, "r2", control=None, public_key=shop.key)
        assert shop.channels == AFTER
        assert_holds(shop, "r2")
        assert not (shop.repository / STAGING).exists()
        assert list((shop.root / "releases").glob(".channels*")) == []
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert len(codes) > 8


def assert_holds(shop: Shop, release_id: str) -> None:
    """The repository has every file of this release's models, with its bytes."""
    root = shop.release(release_id)
    assert repository_problems(root, read_manifest(root), shop.repository) == []
