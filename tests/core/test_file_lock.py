"""A lock has one holder; who comes second waits as long as told, and is told who holds it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.file_lock import file_lock


def _refusal(holder: str) -> ShopfuseError:
    return ShopfuseError(f"held by {holder}")


def test_a_second_holder_is_refused_and_told_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    second = file_lock(path, _refusal)
    with file_lock(path, _refusal), pytest.raises(ShopfuseError, match=f"held by {os.getpid()}"), second:
        pass

    with file_lock(path, _refusal):
        assert path.read_text() == str(os.getpid())


def test_a_holder_that_lets_go_in_time_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with file_lock(path, _refusal):
            held.set()
            enough.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    threading.Timer(0.1, enough.set).start()

    with file_lock(path, _refusal, wait_s=30):
        assert enough.is_set()
    thread.join()
