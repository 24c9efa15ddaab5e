"""The steps of one run: each is named, reported, timed, and named again where it fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.publishing.errors import PublishError

# step -> what whoever sees it fail does next
NEXT = {
    "verify": "Restore the release's files and its signature, or build a new release",
    "parity": "Build again with a precision that passes, or accept the failure with a recorded reason",
    "triton": "Start it (`shopfuse serve`), or correct its address, and run this again",
    "place": "Make room or correct the repository as said, and run this again",
    "load": "Triton's log has more; run this again when it is repaired, or build a new release",
    "golden": "The models do not answer here as they did where they were built: do not publish this release",
    "flip": "Run this again when the folder of releases can be written",
}


class Steps:
    """Of one action, such as "publish r2"."""

    def __init__(self, action: str, subject: str, progress: Progress) -> None:
        self.action = action
        self.subject = subject
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Whatever a user can repair leaves the block as a PublishError that says where and what to do next."""
        began = time.monotonic()
        self.report(name, 0, 1)
        try:
            yield
        except (ShopfuseError, OSError) as error:
            raise PublishError(self._refusal(name, error)) from error
        self.seconds[name] = time.monotonic() - began
        self.report(name, 1, 1)

    def report(self, name: str, done: int, total: int) -> None:
        self._progress(f"{self.action}: {name}", done, total)

    def _refusal(self, name: str, error: Exception) -> str:
        if isinstance(error, OSError):
            text = f"{error.filename or 'the file system'}: {error.strerror or error}"
        else:
            text = str(error)
        hint = f". {NEXT[name]}" if name in NEXT else ""
        name_of = f"{self.action} {self.subject}".strip()
        return f"{name_of} stopped at '{name}', nothing changed: {text}{hint}".replace("..", ".")
