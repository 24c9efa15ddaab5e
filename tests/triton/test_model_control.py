"""What control calls say of a Triton that is slow, frozen or not there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from shopfuse.triton.errors import ModelControlError
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from tests.triton.tiny_models import Tensor, add_doubling
from tests.waiting import wait_until

CALLS: dict[str, tuple[Callable[[ModelControl], object], str]] = {
    "load": (lambda control: control.load("double"), "cannot load 'double'"),
    "unload": (lambda control: control.unload("double"), "cannot unload 'double'"),
    "list": (lambda control: control.ready_models(), "does not list its models"),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_unreachable_triton_is_named_with_its_address(call: str) -> None:
    act, complaint = CALLS[call]
    with ModelControl("127.0.0.1:1") as control, pytest.raises(ModelControlError, match=complaint) as failure:
        act(control)

    assert "127.0.0.1:1" in str(failure.value)


def test_nothing_is_live_where_no_triton_is() -> None:
    with ModelControl("127.0.0.1:1") as control:
        assert not control.is_live(timeout_s=0.1)


def thread_states(pid: int) -> set[str]:
    """The states of a process's threads, as Linux letters them: T is stopped."""
    stats = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return {text.rpartition(")")[2].split()[0] for text in stats}


def test_a_frozen_triton_is_an_error_and_not_one_without_models(triton: LocalTriton) -> None:
    with ModelControl(triton.address, timeout_s=0.3) as control:
        os.kill(triton.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: thread_states(triton.pid) == {"T"})  # until then it may answer on
            with pytest.raises(ModelControlError, match="cannot unload 'double'"):
                control.unload("double")
        finally:
            os.kill(triton.pid, signal.SIGCONT)


def test_an_unload_that_takes_too_long_is_reported(triton: LocalTriton, repository: Path) -> None:
    add_doubling(repository, "lingers", Tensor("x"))
    triton.load("lingers")

    with ModelControl(triton.address, timeout_s=0.3) as control, pytest.raises(ModelControlError, match="still holds"):
        control.unload("lingers")  # Triton takes a second to end an instance's process


def test_loading_reports_its_progress(triton: LocalTriton, repository: Path) -> None:
    for name in ("one", "two"):
        add_doubling(repository, name, Tensor("x"))
    told: list[tuple[str, int, int]] = []
    with ModelControl(triton.address) as control:
        control.load("one", "two", progress=lambda *progress: told.append(progress))

        assert told == [("load models", 0, 2), ("load models", 1, 2), ("load models", 2, 2)]
        assert {entry.name for entry in control.ready_models()} >= {"one", "two"}
