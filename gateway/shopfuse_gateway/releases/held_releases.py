"""The releases that a gateway process holds open, and which of them answers whom.

A request uses one release from start to end. What channels.json says is read and checked elsewhere (follower.py); here
it is obeyed, all at once and between two requests.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection
from datetime import datetime
from types import TracebackType

from shopfuse.release.channels import Channels
from shopfuse_gateway.releases.engine import Engine
from shopfuse_gateway.releases.page_token import digest, release_of
from shopfuse_gateway.telemetry.logs import event
from shopfuse_gateway.triton.served_model import ServedModel

log = logging.getLogger(__name__)

OUTCOMES = ("ok", "degraded")


class HeldRelease:
    """One open release. `with held:` keeps it open for the time of a request."""

    def __init__(self, engine: Engine, on_idle: Callable[[HeldRelease], None]) -> None:
        self.engine = engine
        self.release_id = engine.release.manifest.release_id
        self.is_needed = True  # else it closes when its last request has ended
        self._in_flight = 0
        self._on_idle = on_idle
        self._answers = [engine.metrics.answers.labels(self.release_id, outcome) for outcome in OUTCOMES]

    @property
    def is_idle(self) -> bool:
        return not self.is_needed and self._in_flight == 0

    def count_answer(self, degraded: bool) -> None:
        self._answers[degraded].inc()

    def __enter__(self) -> HeldRelease:
        self._in_flight += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._in_flight -= 1
        if self.is_idle:
            self._on_idle(self)


class Releases:
    """Use it from the event loop only. `changed` is set when something was opened, closed or put in a channel."""

    def __init__(self, stable: Engine) -> None:
        self.changed = asyncio.Event()
        self._held: dict[str, HeldRelease] = {}
        self._by_token: dict[bytes, HeldRelease] = {}
        self._metrics = stable.metrics
        self._channels = Channels()
        self.hold(stable)
        self.answer_with(Channels(stable=stable.release.manifest.release_id))

    @property
    def channels(self) -> Channels:
        """What the process answers with; it may lag behind channels.json."""
        return self._channels

    @property
    def held(self) -> tuple[str, ...]:
        """Every release that is open, those included that only finish their last requests."""
        return tuple(self._held)

    def engine(self, release_id: str) -> Engine:
        return self._held[release_id].engine

    def of(self, subject: str, page_token: str = "") -> HeldRelease:
        """The release of the request's first page, where that is held; else the one of the user's or session's channel,
        drawn anew for nobody ("")."""
        if page_token and (held := self._by_token.get(release_of(page_token))):
            return held
        if not self._channels.canary:
            return self._stable
        return self._held[self._channels.of(subject or str(random.random()))]

    def hold(self, engine: Engine) -> None:
        """Keeps an opened release; it answers nobody yet."""
        held = HeldRelease(engine, self._close)
        self._held[held.release_id] = self._by_token[digest(held.release_id)] = held
        self.changed.set()

    def answer_with(self, channels: Channels, kept: Collection[str] = ()) -> None:
        """From the next request on. The stable and the canary must be held; what is held and not named is closed."""
        needed = {*channels.in_use, *kept}
        if channels == self._channels and all(held.is_needed == (name in needed) for name, held in self._held.items()):
            return
        if channels != self._channels:
            log.info("answering with %s", channels, extra=event("channels", channels.stable))
        self._report_stable(self._channels.stable, channels.stable)
        self._channels, self._stable = channels, self._held[channels.stable]
        for held in list(self._held.values()):
            held.is_needed = held.release_id in needed
            if held.is_idle:
                self._close(held)
        self.changed.set()

    def _report_stable(self, before: str, now: str) -> None:
        if before == now:
            return
        created = datetime.fromisoformat(self.engine(now).release.manifest.created_at).timestamp()
        self._metrics.index_age.set_function(lambda: time.time() - created)
        since = time.time()
        self._metrics.release_age.set_function(lambda: time.time() - since)
        self._metrics.release.labels(now).set(1)
        if before:
            self._metrics.release.remove(before)

    def _close(self, held: HeldRelease) -> None:
        """Lets go of its files: they are unmapped with the last reference to them."""
        del self._held[held.release_id], self._by_token[digest(held.release_id)]
        for outcome in OUTCOMES:
            self._metrics.answers.remove(held.release_id, outcome)
        self._metrics.top_score.remove_by_labels({"release_id": held.release_id})
        named = {_key(model) for other in self._held.values() for model in other.engine.release.models.all}
        for model in held.engine.release.models.all:
            if _key(model) not in named:
                held.engine.triton.forget(model)
        log.info("closed release %s", held.release_id, extra=event("closed", held.release_id))
        self.changed.set()


def _key(model: ServedModel) -> tuple[str, str]:
    return model.name, model.version
