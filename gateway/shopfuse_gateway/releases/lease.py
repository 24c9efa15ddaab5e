"""Says on disk which releases this process holds: publishing waits for it, pruning spares them.

A workspace that cannot be written costs the lease, never an answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shopfuse.release.leases import RENEW_S, renew
from shopfuse_gateway.releases.held_releases import Releases

log = logging.getLogger(__name__)


@asynccontextmanager
async def leased(workspace: Path, releases: Releases) -> AsyncIterator[None]:
    """The lease is there from the start, renewed at every change and every RENEW_S, and removed at the end."""
    with ThreadPoolExecutor(1, "lease") as thread:  # one: so the removal comes after every renewal
        lease = _Lease(workspace, releases, thread)
        await lease.write()
        renewing = asyncio.create_task(lease.keep())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            thread.submit(lease.remove)


class _Lease:
    def __init__(self, workspace: Path, releases: Releases, thread: ThreadPoolExecutor) -> None:
        self._workspace = workspace
        self._releases = releases
        self._thread = thread
        self._path: Path | None = None
        self._problem = ""

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S):  # wait_for of Python 3.11 loses a cancellation beside a change
                    await self._releases.changed.wait()
            await self.write()

    async def write(self) -> None:
        self._releases.changed.clear()
        channels, held = self._releases.channels, self._releases.held
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._renew, channels.stable, channels.canary, held)

    def remove(self) -> None:
        if self._path:
            self._path.unlink(missing_ok=True)

    def _renew(self, stable: str, canary: str, held: tuple[str, ...]) -> None:
        try:
            self._path = renew(self._workspace, stable, canary, held)
            self._problem = ""
        except OSError as error:
            if (error.strerror or "") != self._problem:  # once, not every few seconds; each try names another file
                log.error("no lease of this gateway, so releases may be pruned under it: %s", error)
            self._problem = error.strerror or ""
