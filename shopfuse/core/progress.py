"""How long work reports its progress: a plain callable, so that libraries need no terminal and tests no fake one."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called often; `done` of `total` units of `stage` are finished. A total of 0 means: not known yet."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Reports nothing."""
