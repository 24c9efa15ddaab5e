"""What the guard removes of the dead, and what it leaves to the living."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopfuse.triton import guard


@pytest.fixture
def prefix() -> Iterator[str]:
    name = f"shopfuse-{secrets.token_hex(6)}"
    yield name
    guard.remove_leavings(name, "")


def _region(prefix: str) -> Path:
    region = guard.SHARED_MEMORY / f"{prefix}-region"
    region.write_bytes(b"left behind")
    return region


def test_leavings_of_a_guard_that_was_killed_are_removed_by_the_next(prefix: str, tmp_path: Path) -> None:
    run_directory = tmp_path / "run"
    run_directory.mkdir()
    guard.claim(prefix, str(run_directory)).close()  # the kernel closes the files of a killed process in the same way
    region = _region(prefix)

    guard.sweep()

    assert not region.exists()
    assert not run_directory.exists()
    assert not list(guard.SHARED_MEMORY.glob(f"{prefix}*"))


def test_leavings_of_a_living_guard_are_left_alone(prefix: str, tmp_path: Path) -> None:
    with guard.claim(prefix, str(tmp_path)):
        region = _region(prefix)

        guard.sweep()

        assert region.exists()
        assert tmp_path.exists()
