"""The steps of a build: each is reported and timed, and a disk that fails is named with the step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from shopfuse.core.progress import Progress
from shopfuse_exporters.errors import BuildError


class StepTimes:
    """The seconds that each step of a build took."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Raises BuildError for an OSError: a full disk, a folder that may not be written."""
        self._progress(name, 0, 0)
        started = time.perf_counter()
        try:
            with disk_errors_named(name):
                yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 2)


@contextmanager
def disk_errors_named(step: str) -> Iterator[None]:
    """An OSError (a full disk, a folder that may not be written) becomes a BuildError with the step and the path."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise BuildError(f"{step}: {where}{error.strerror or error}") from error
    except SafetensorError as error:  # what safetensors raises for a full disk
        raise BuildError(f"{step}: {error}") from error
