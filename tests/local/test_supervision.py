"""A Triton that died is started again until it serves, also where it came up without its models."""

from __future__ import annotations

from pathlib import Path
from subprocess import Popen
from typing import cast

import pytest

import shopfuse.local.stack as module
from shopfuse.local.endpoints import Endpoints
from shopfuse.local.stack import Stack
from shopfuse.publishing.errors import PublishError
from shopfuse.triton.local_triton import LocalTriton


class DeadTriton:
    """Comes up whenever it is started."""

    alive = False
    starts = 0

    def restart(self) -> None:
        self.alive, self.starts = True, self.starts + 1

    def stop(self) -> None:
        self.alive = False


class Gateway:
    """Ends when Triton has been looked at often enough."""

    looks = 0

    def poll(self) -> int | None:
        self.looks += 1
        return 0 if self.looks > 6 else None


def test_a_triton_that_could_not_load_its_models_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = iter([PublishError("cannot load 'fusion_ranker': Deadline Exceeded"), None])

    def load_published(*_: object) -> None:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(module, "load_published", load_published)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.0)
    triton = DeadTriton()
    stack = Stack(tmp_path, cast(Endpoints, None), cast(Popen[bytes], Gateway()), cast(LocalTriton, triton))

    stack.supervise()

    assert triton.starts == 2 and triton.alive
    assert "Deadline Exceeded" in capsys.readouterr().err
