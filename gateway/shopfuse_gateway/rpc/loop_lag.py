"""How far the event loop is behind: the wait that every new request would have before its first line runs."""

from __future__ import annotations

import asyncio

TICK_S = 0.02
FORGET = 0.5  # a tick's share of the running mean


class LoopLag:
    """Start it inside the running loop, and stop it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + TICK_S
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        self.seconds += FORGET * (max(now - self._due, 0.0) - self.seconds)
        self._due = now + TICK_S
        self._timer = self._loop.call_at(self._due, self._tick)
