"""Beside one Triton, for as long as it runs: `python -m shopfuse.publishing --workspace DIR --triton HOST:PORT`.

Keeps that Triton serving what the channels name, and says over HTTP whether it does. /ready is 200 while the stable
release that was loaded last answers: also while the next one is being loaded, or cannot be, because gateways then stay
with the one before too. /live is 200 while the work goes on. No pointer changes here; gateways follow by themselves.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.publishing.folders import readable_manifest
from shopfuse.publishing.loading import LIVE_WITHIN_S, not_ready
from shopfuse.publishing.lock import publisher_lock
from shopfuse.publishing.reconcile import LOCK_WITHIN_S, place_published, reconcile
from shopfuse.publishing.removal import manifests_in_use, remove_models
from shopfuse.release.channels import Channels, read_channels
from shopfuse.release.ids import release_ids
from shopfuse.release.verify import read_manifest
from shopfuse.triton.model_control import ModelControl

log = logging.getLogger("shopfuse.publishing")

RETRY_S = 15.0  # after a failure: a damaged release is not hashed again at every look
STUCK_S = 900.0  # longer than any load that may still succeed
NOTHING = Channels()


class Keeper:
    """One Triton and the workspace that it serves. `look` from one thread; the two texts may be read from any."""

    def __init__(self, workspace: Path, control: ModelControl, public_key: Path) -> None:
        self._workspace = workspace
        self._control = control
        self._public_key = public_key
        self._served = NOTHING  # the channels that were loaded last
        self._answering: tuple[str, ...] = ()  # releases of them that were loaded, the stable one first
        self._looked_at = time.monotonic()
        self.problem = "nothing is loaded yet"  # why Triton cannot answer for the shop; "" where it can

    @property
    def stuck(self) -> str:
        """Why this process should be started again; "" while it works."""
        idle_s = time.monotonic() - self._looked_at
        return f"the last look began {idle_s:.0f} s ago" if idle_s > STUCK_S else ""

    def look(self) -> bool:
        """Loads what the channels name and Triton lacks. False where a release failed: the next look tries it again."""
        self._looked_at = time.monotonic()
        whole = True
        if self._control.is_live(LIVE_WITHIN_S):
            try:
                channels = read_channels(self._workspace)
                whole = (channels == self._served and not self._lost()) or self._load(channels)
            except (ShopfuseError, OSError) as error:
                log.error("%s", error)
                whole = False
        self._tell()
        return whole

    def _lost(self) -> list[str]:
        """What was loaded and does not answer any more: Triton was started again."""
        return [part for name in self._answering for part in self._missing(name)]

    def _missing(self, release_id: str) -> list[str]:
        return not_ready(self._control, read_manifest(WorkspacePaths(self._workspace).release(release_id)))

    def _load(self, channels: Channels) -> bool:
        done = reconcile(self._workspace, self._control, public_key=self._public_key)
        for release_id, problem in done.problems.items():
            log.error("%s is not loaded: %s", release_id, problem)
        self._answering = done.ready
        self._served = channels if not done.problems else NOTHING
        log.info("Triton at %s answers with %s", self._control.address, ", ".join(done.ready))
        self._remove_others(channels)
        return not done.problems

    def _remove_others(self, channels: Channels) -> None:
        """Models that no channel names take memory: at the next release they go, as `release prune` has them go."""
        names = release_ids(WorkspacePaths(self._workspace).releases)
        with publisher_lock(self._workspace, LOCK_WITHIN_S):
            everything = [manifest for name in names if (manifest := readable_manifest(self._workspace, name))]
            needed = manifests_in_use(self._workspace, channels)
            if removed := remove_models(self._workspace, self._control, everything, needed):
                log.info("removed %s", ", ".join(removed))

    def _tell(self) -> None:
        try:
            missing = self._missing(self._answering[0]) if self._answering else ["any release"]
            problem = f"Triton does not answer with {', '.join(missing)}" if missing else ""
        except (ShopfuseError, OSError) as error:
            problem = str(error)
        if problem != self.problem:
            log.info("ready" if not problem else f"not ready: {problem}")
        self.problem = problem


@contextmanager
def answered(keeper: Keeper, host: str, port: int) -> Iterator[int]:
    """Answers probes from a thread of its own; gives the port."""

    class Probes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            texts = {"/ready": keeper.problem, "/live": keeper.stuck}
            text = texts.get(self.path)
            self.send_response(404 if text is None else 503 if text else 200)
            self.end_headers()
            self.wfile.write(f"{text or 'ok'}\n".encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """A probe is not worth a line."""

    server = ThreadingHTTPServer((host, port), Probes)
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Until SIGTERM or SIGINT; with --place until all is placed. 1 with one line on stderr where that fails."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    public_key = options.public_key or WorkspacePaths(options.workspace).public_key
    if options.place:
        try:
            place_published(options.workspace, public_key=public_key)
        except (ShopfuseError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ModelControl(options.triton) as control:
        keeper = Keeper(options.workspace, control, public_key)
        with answered(keeper, options.host, options.port) as port:
            log.info("probes are answered on %s:%d", options.host, port)
            while not stop.wait(options.every if keeper.look() else max(options.every, RETRY_S)):
                pass
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m shopfuse.publishing", description="Keeps one Triton serving.")
    parser.add_argument("--workspace", type=Path, required=True, metavar="DIR")
    parser.add_argument("--triton", metavar="HOST:PORT", help="a Triton with this workspace's model repository")
    parser.add_argument(
        "--place", action="store_true", help="instead: fill the model repository before Triton starts, and end"
    )
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="default: keys/release.pub of the workspace")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="between two looks (default 2)")
    parser.add_argument("--host", default="127.0.0.1", help="address that answers probes")
    parser.add_argument("--port", type=int, default=8003, metavar="N", help="0 takes a free one (default 8003)")
    options = parser.parse_args(arguments)
    if bool(options.triton) == options.place:
        parser.error("one of --triton and --place is needed")
    return options


if __name__ == "__main__":
    sys.exit(main())
