"""Triton as tests run it: on a repository of their own, and stopped without waiting for requests in flight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shopfuse.triton.command import TritonSettings
from shopfuse.triton.local_triton import LocalTriton

QUICK = TritonSettings(stop_timeout_s=0)


@contextmanager
def empty_triton(folder: Path, settings: TritonSettings = QUICK) -> Iterator[LocalTriton]:
    """Without a model: those that tests put into its repository, they load."""
    repository = folder / "model_repository"
    repository.mkdir()
    with LocalTriton(repository, folder / "triton.log", settings) as running:
        yield running
