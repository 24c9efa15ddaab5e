"""A running sync over HTTP: /ready and /live for the kubelet, /metrics for Prometheus.

/ready is 200 while Triton answers with the stable release that it was given last: also while the next one is being
loaded, or cannot be, because gateways then stay with the one before too. /live is 200 while looks are taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from shopfuse.core.errors import ShopfuseError
from shopfuse.release_store.sync import Sync, SyncStatus

log = logging.getLogger(__name__)

STUCK_S = 900.0  # longer than any pull or load that may still succeed
GAUGES: dict[str, tuple[str, Callable[[SyncStatus], float]]] = {
    "shopfuse_sync_ready": ("Triton answers with the stable release that it was given last", lambda now: now.ready),
    "shopfuse_sync_in_step": ("The workspace has the channels of the store", lambda now: now.in_step),
    "shopfuse_sync_generation": ("Of the store's channels, as last seen", lambda now: now.generation),
    "shopfuse_sync_looked_at_seconds": (
        "When the last look ended, since the epoch",
        lambda now: datetime.fromisoformat(now.looked_at).timestamp(),
    ),
}
COUNTERS: dict[str, tuple[str, Callable[[SyncStatus], float]]] = {
    "shopfuse_sync_looks": ("Looks at the channels", lambda now: now.looks),
    "shopfuse_sync_store_failures": ("Looks that the store did not answer, or refused", lambda now: now.store_failures),
    "shopfuse_sync_refusals": ("Looks that found a release which cannot be served", lambda now: now.refusals),
    "shopfuse_sync_changes": ("Changes of the workspace's channels", lambda now: now.changes),
}


class StatusMetrics(Collector):
    """The status of the last look as it is when Prometheus asks."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync

    def collect(self) -> Iterator[Metric]:
        status = self._sync.status
        for name, (help_text, value) in GAUGES.items():
            yield GaugeMetricFamily(name, help_text, value=value(status))
        for name, (help_text, value) in COUNTERS.items():
            yield CounterMetricFamily(name, help_text, value=value(status))


def not_ready(sync: Sync) -> str:
    """Why requests should go elsewhere; "" where they should not."""
    status = sync.status
    return "" if status.ready else status.problem or "the first look is not over"


def stuck(sync: Sync) -> str:
    """Why this process should be started again; "" while it works."""
    idle_s = time.monotonic() - sync.looking_since
    return f"the last look began {idle_s:.0f} s ago" if idle_s > STUCK_S else ""


@contextmanager
def answering(sync: Sync, address: str) -> Iterator[int]:
    """Answers from a thread of its own at HOST:PORT; gives the port, a free one for 0. Raises ShopfuseError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ShopfuseError(f"--probes {address}: expected HOST:PORT, such as 0.0.0.0:8003")
    registry = CollectorRegistry()
    registry.register(StatusMetrics(sync))
    try:
        server = ThreadingHTTPServer((host, int(port)), _handler(sync, registry))
    except OSError as error:
        raise ShopfuseError(f"--probes {address}: {error.strerror or error}") from error
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    log.info("probes are answered on %s:%d", host, server.server_port)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _handler(sync: Sync, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Probes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            checks = {"/ready": not_ready, "/live": stuck}
            if self.path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)
            elif check := checks.get(self.path):
                problem = check(sync)
                self._answer(503 if problem else 200, f"{problem or 'ok'}\n".encode(), "text/plain; charset=utf-8")
            else:
                self._answer(404, b"", "text/plain; charset=utf-8")

        def _answer(self, code: int, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """A probe is not worth a line."""

    return Probes
