"""Publishing through a real Triton: what serves before, meanwhile and afterwards."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

import grpc
import pytest

from shopfuse.publishing import switch
from shopfuse.publishing.publish import publish
from shopfuse.publishing.rollback import promote, rollback
from shopfuse.release.channels import Channels
from shopfuse.release.leases import renew
from shopfuse.triton.model_control import ModelControl
from tests.publishing.tiny_release import Scaling, Shop, ask, write_lease
from tests.waiting import wait_until


@dataclass
class Caller:
    """Asks a release again and again from a thread of its own, from enter to exit."""

    control: ModelControl
    shop: Shop
    release_id: str
    answers: list[float] = field(default_factory=list)
    errors: list[grpc.RpcError] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Caller:
        self.thread = threading.Thread(target=self._call)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _call(self) -> None:
        while not self.done.is_set():
            try:
                self.answers.append(ask(self.control, self.shop, self.release_id))
            except grpc.RpcError as error:
                self.errors.append(error)


def test_the_first_release_answers_everybody(shop: Shop, control: ModelControl) -> None:
    result = publish(shop.root, "r1", control=control, public_key=shop.key)

    assert shop.channels == result.after == Channels(stable="r1")
    assert ask(control, shop, "r1") == 6
    assert set(result.placed) == {shop.name("encoder"), shop.name("tower"), f"{shop.name('rank')}_r1"}
    assert result.warnings == ()


def test_old_answers_go_on_while_a_new_release_is_published(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)

    with Caller(control, shop, "r1") as caller:

        def answers_go_on(stage: str, done: int, total: int) -> None:
            seen = len(caller.answers)
            wait_until(lambda: len(caller.answers) > seen or bool(caller.errors))

        result = publish(shop.root, "r2", progress=answers_go_on, control=control, public_key=shop.key)

    assert caller.errors == []
    assert set(caller.answers) == {6}
    assert (ask(control, shop, "r1"), ask(control, shop, "r2")) == (6, 10)
    assert result.after == Channels(stable="r2", previous="r1")
    assert set(result.placed) == {f"{shop.name('encoder')}/2", f"{shop.name('rank')}_r2"}


def test_publishing_again_changes_nothing(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    publish(shop.root, "r2", control=control, public_key=shop.key)

    again = publish(shop.root, "r2", control=control, public_key=shop.key)

    assert again.placed == ()
    assert again.before == again.after == Channels(stable="r2", previous="r1")


def test_a_canary_beside_the_stable_release_is_promoted(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)

    canary = publish(shop.root, "r2", control=control, public_key=shop.key, share=0.25)
    assert canary.after == shop.channels == Channels(stable="r1", canary="r2", canary_share=0.25)
    promoted = promote(shop.root, control=control, public_key=shop.key)

    assert promoted.release_id == "r2"
    assert shop.channels == Channels(stable="r2", previous="r1")


def test_rolling_back_ends_the_canary_first(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    publish(shop.root, "r2", control=control, public_key=shop.key, share=0.25)

    result = rollback(shop.root, control=control, public_key=shop.key)

    assert result.after == shop.channels == Channels(stable="r1")
    assert result.warnings == ()


def test_rolling_back_goes_to_the_release_before_and_forth_again(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    publish(shop.root, "r2", control=control, public_key=shop.key)

    back = rollback(shop.root, control=control, public_key=shop.key)
    assert shop.channels == Channels(stable="r1", previous="r2")
    forth = rollback(shop.root, control=control, public_key=shop.key)

    assert shop.channels == Channels(stable="r2", previous="r1")
    assert back.placed == forth.placed == ()
    assert max(back.seconds, forth.seconds) < 10  # of a pointer's flip: tens of milliseconds where nothing else runs


def test_rolling_back_loads_what_triton_lost(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    publish(shop.root, "r2", control=control, public_key=shop.key)
    control.unload(f"{shop.name('rank')}_r1")

    rollback(shop.root, control=control, public_key=shop.key)

    assert ask(control, shop, "r1") == 6


def test_without_triton_the_models_are_placed_and_the_pointer_flips(shop: Shop) -> None:
    result = publish(shop.root, "r1", control=None, public_key=shop.key)

    assert shop.channels.stable == "r1"
    assert len(shop.placed()) == 3
    assert "no Triton" in result.warnings[0]


def test_a_copy_in_the_repository_is_no_link_into_the_release(shop: Shop) -> None:
    publish(shop.root, "r1", control=None, public_key=shop.key)
    placed = shop.repository / shop.name("encoder") / "1" / "model.onnx"
    released = shop.release("r1") / "models" / shop.name("encoder") / "1" / "model.onnx"

    assert placed.read_bytes() == released.read_bytes()
    assert not placed.samefile(released)


def test_a_model_with_another_configuration_has_another_name(shop: Shop, control: ModelControl) -> None:
    publish(shop.root, "r1", control=control, public_key=shop.key)
    other = Shop(shop.root, f"{shop.tag}_2")
    other.add("r3", Scaling(1, 7.0), Scaling(1, 2.0), options="dynamic_batching {}")

    publish(shop.root, "r3", control=control, public_key=shop.key)

    assert (ask(control, shop, "r1"), ask(control, other, "r3")) == (6, 14)


def test_it_waits_until_the_gateway_answers_with_the_release(shop: Shop) -> None:
    renew(shop.root, "", "", ())

    def follow() -> None:
        wait_until(lambda: shop.channels.stable == "r1")
        renew(shop.root, "r1", "", ("r1",))

    gateway = threading.Thread(target=follow)
    gateway.start()
    result = publish(shop.root, "r1", control=None, public_key=shop.key)
    gateway.join()

    assert result.late_gateways == ()


def test_a_gateway_that_does_not_follow_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "GATEWAYS_WITHIN_S", 0.2)
    write_lease(shop.root, "elsewhere-7", holds=())

    result = publish(shop.root, "r1", control=None, public_key=shop.key)

    assert result.late_gateways == ("elsewhere-7",)
    assert "elsewhere-7" in result.warnings[-1]
    assert shop.channels.stable == "r1"


def test_every_change_is_a_line_of_the_publication_log(shop: Shop) -> None:
    publish(shop.root, "r1", control=None, public_key=shop.key)
    log = shop.root / "releases" / "journal.jsonl"
    with log.open("a") as file:
        file.write('{"cut short')
    publish(shop.root, "r2", control=None, public_key=shop.key)

    first, torn, second = log.read_text().splitlines()

    assert torn == '{"cut short'
    assert [json.loads(line)["after"]["stable"] for line in (first, second)] == ["r1", "r2"]
    assert json.loads(second)["before"]["stable"] == "r1"
    assert "@" in json.loads(second)["who"]


def test_a_publication_log_that_cannot_be_written_is_a_warning(shop: Shop) -> None:
    (shop.root / "releases" / "journal.jsonl").mkdir()

    result = publish(shop.root, "r1", control=None, public_key=shop.key)

    assert shop.channels.stable == "r1"
    assert "journal.jsonl" in result.warnings[-1]
