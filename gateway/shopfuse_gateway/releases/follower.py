"""Follows the release pointer, WORKSPACE/releases/channels.json, without a restart.

What it names is opened in a thread, verified, found in Triton and warmed; only then do requests go to it. A release
that fails any of this is refused: what answered before goes on. Files are looked at again and again rather than
watched, because network file systems tell nobody of a change.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from shopfuse.release.channels import read_channels
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ReleaseError
from shopfuse.release.signature import SignatureError
from shopfuse_gateway.releases.compatibility import IncompatibleRelease
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.releases.held_releases import Releases
from shopfuse_gateway.releases.loaded_release import LoadedRelease
from shopfuse_gateway.releases.warm_up import ModelsNotReady, warm_up
from shopfuse_gateway.settings import Settings
from shopfuse_gateway.telemetry.logs import event
from shopfuse_gateway.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

T = TypeVar("T")
Stamp = tuple[tuple[int, int, int] | None, ...]  # of files: inode, bytes, when written; None where one is not there
OpenEngine = Callable[[str, Sequence[LoadedRelease]], Engine]  # of a release, by its id, beside those that are held
UNREADABLE_RETRY_S = 10.0  # after a failing disk: a release is read whole each time
# The first class that fits names the reason; any other error is a bug, or a library that gave up.
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (SignatureError, "signature"),
    (IncompatibleRelease, "incompatible"),
    (ModelsNotReady, "models_not_ready"),
    (ReleaseError, "damaged"),
    (OSError, "unreadable"),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    files: Stamp  # as they were
    retry_at: float = math.inf  # on the monotonic clock; a change of the files comes first


class Follower:
    """`open_engine` may take long: it runs in a thread of the follower's own."""

    def __init__(self, settings: Settings, releases: Releases, open_engine: OpenEngine, metrics: Metrics) -> None:
        self._settings = settings
        self._pointer = settings.paths.channels
        self._releases = releases
        self._open_engine = open_engine
        self._metrics = metrics
        self._wanted = releases.channels  # what the pointer said when it could last be read
        self._seen: Stamp = ()
        self._refused: dict[str, Refusal] = {}  # by release id, and by the pointer's name
        self._thread = ThreadPoolExecutor(1, "follower")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def follow(self) -> None:
        """Until cancelled. Whatever goes wrong, the gateway answers with what it has, and the next look tries again."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("%s: cannot be followed", self._pointer)
                self._metrics.refused.labels("internal").inc()
            await asyncio.sleep(self._settings.follow_s)

    async def look(self) -> None:
        """Reads the pointer where it changed, and brings the process as near to it as the releases allow."""
        seen = await self._in_thread(_stamp, self._pointer)
        if seen != self._seen:
            self._seen = seen
            self._refused.clear()
            await self._read_pointer(seen)
        wanted, now = self._wanted, self._releases.channels
        stable = wanted.stable if await self._is_ready(wanted.stable) else now.stable
        self._answer_with(stable, wanted.canary if wanted.canary in (now.stable, now.canary) else "")
        if wanted.canary and await self._is_ready(wanted.canary):
            self._answer_with(stable, wanted.canary)
        if wanted.previous:
            await self._is_open(wanted.previous)

    async def _read_pointer(self, seen: Stamp) -> None:
        try:
            wanted = await self._in_thread(read_channels, self._settings.workspace)
            if not wanted.stable:
                raise ReleaseError(f"{self._pointer}: names no stable release")
        except ReleaseError as error:
            self._refuse(self._pointer.name, "channels", error, seen)
        else:
            self._wanted = wanted

    async def _is_ready(self, release_id: str) -> bool:
        """Whether requests may go to a release: they do already, or it is open and Triton serves its models."""
        now = self._releases.channels
        if release_id in (now.stable, now.canary):
            return True
        if not await self._is_open(release_id):
            return False
        engine = self._releases.engine(release_id)
        try:
            await warm_up(engine.triton, engine.release.models)
        except ModelsNotReady as error:
            self._refuse(release_id, _reason(error), error, files=())
            return False
        self._refused.pop(release_id, None)
        return True

    async def _is_open(self, release_id: str) -> bool:
        """Opens a release that is not open yet, unless it was refused and nothing has changed since."""
        if release_id in self._releases.held:
            return True
        files = await self._in_thread(_stamp, *self._files(release_id))
        refusal = self._refused.get(release_id)
        if refusal and refusal.files == files and time.monotonic() < refusal.retry_at:
            return False
        try:
            engine = await self._in_thread(self._open_engine, release_id, self._held())
        except Exception as error:  # noqa: BLE001  no release may end the process that reads it
            self._refuse(release_id, _reason(error), error, files)
            return False
        self._releases.hold(engine)
        return True

    def _held(self) -> list[LoadedRelease]:
        return [self._releases.engine(name).release for name in self._releases.held]

    def _files(self, release_id: str) -> tuple[Path, ...]:
        """What a refused release depends on: it is tried again when one of them changes."""
        layout = ReleaseLayout(self._pointer.parent / release_id)
        return layout.manifest, layout.signature, self._settings.public_key_file

    def _answer_with(self, stable: str, canary: str) -> None:
        """Moves the process, where that is a move. The rest of the wanted releases stays open, or is being opened."""
        share = self._wanted.canary_share if canary else 0.0
        channels = replace(self._wanted, stable=stable, canary=canary, canary_share=share)
        self._releases.answer_with(channels, kept=self._wanted.in_use)

    def _refuse(self, name: str, reason: str, error: Exception, files: Stamp) -> None:
        """Counts and logs a refusal once for each change, not for each look."""
        retry_at = time.monotonic() + UNREADABLE_RETRY_S if reason == "unreadable" else math.inf
        before, self._refused[name] = self._refused.get(name), Refusal(reason, files, retry_at)
        if before and (before.reason, before.files) == (reason, files):
            return
        self._metrics.refused.labels(reason).inc()
        trace = error if reason == "internal" else None
        stable = self._releases.channels.stable
        told = "%s refused (%s), %s goes on: %s"
        log.error(told, name, reason, stable, error, exc_info=trace, extra=event("refused", name))

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def _reason(error: Exception) -> str:
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), "internal")


def _stamp(*paths: Path) -> Stamp:
    return tuple(map(_file_stamp, paths))


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    """Opened rather than looked up: a network file system then asks its server instead of its cache."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
