"""The gateway's Prometheus metrics: names, labels, buckets, and the HTTP port that they are read from.

Labels never hold user, query or item ids.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from shopfuse.core.addresses import listening

# Seconds. Edges lie on the service level objectives (3.5 ms, 5 ms, 50 ms, 1 s).
_LATENCY_MS = (0.5, 1, 2, 3, 3.5, 4, 5, 7.5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2500, 5000)
_LATENCY = tuple(edge / 1000 for edge in _LATENCY_MS)
_STAGE = (0.0001, 0.00025, *_LATENCY)
_AGE = (60.0, 600.0, 3600.0, 6 * 3600.0, 86400.0, 3 * 86400.0, 7 * 86400.0, 30 * 86400.0)
_SCORE = tuple(edge / 20 for edge in range(1, 20))
_COUNTS = (0, 1, 5, 10, 20, 50, 100, 150, 200, 256, 512)
REFUSALS = ("channels", "signature", "incompatible", "damaged", "unreadable", "models_not_ready", "internal")
RANKED = ("Search", "Recommend", "RecommendSimilarItems", "RankItems")  # the methods that answer with items
STOP_CHECK_S = 0.02  # a stop waits for it
_METHOD = ("grpc_type", "grpc_service", "grpc_method")


class Metrics:
    """One registry per gateway, so that several gateways can live in one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.started = Counter("grpc_server_started", "Calls started.", _METHOD, registry=registry)
        self.handled = Counter("grpc_server_handled", "Calls ended.", (*_METHOD, "grpc_code"), registry=registry)
        self.handling = Histogram(
            "grpc_server_handling_seconds", "Time of calls.", _METHOD, buckets=_LATENCY, registry=registry
        )
        self.stage = Histogram(
            "shopfuse_stage_duration_seconds", "Time of one stage.", ("stage",), buckets=_STAGE, registry=registry
        )
        self.degraded = Counter(
            "shopfuse_degraded", "Stages that failed or were late.", ("stage", "reason"), registry=registry
        )
        self.in_flight = Gauge("shopfuse_inflight_requests", "Requests being answered.", registry=registry)
        self.limit = Gauge("shopfuse_inflight_limit", "Requests that are answered at once.", registry=registry)
        self.shed = Counter("shopfuse_shed", "Requests refused at the door.", ("reason",), registry=registry)
        self.candidates = Histogram(
            "shopfuse_candidates", "Candidates a channel found.", ("channel",), buckets=_COUNTS, registry=registry
        )
        self.empty = Counter("shopfuse_zero_results", "Answers without an item.", ("grpc_method",), registry=registry)
        for method in RANKED:
            self.empty.labels(method)
        self.top_score = Histogram(
            "shopfuse_top_score",
            "Score of the first item of a whole answer.",
            ("release_id", "grpc_method"),
            buckets=_SCORE,
            registry=registry,
        )
        self.cache = Counter("shopfuse_cache_events", "Cache look-ups.", ("cache", "outcome"), registry=registry)
        self.feature_missing = Counter(
            "shopfuse_feature_missing", "Values the store lacked.", ("feature",), registry=registry
        )
        reads = Counter("shopfuse_feature_reads", "Values the store was asked for.", ("feature",), registry=registry)
        self.user_reads, self.item_reads = (reads.labels(feature) for feature in ("user", "item"))
        self.user_event_age = Histogram(
            "shopfuse_user_event_age_seconds", "Age of a known user's newest event.", buckets=_AGE, registry=registry
        )
        self.feature_age = Histogram(
            "shopfuse_feature_age_seconds", "Age of the candidates' rows.", buckets=_AGE, registry=registry
        )
        self.index_age = Gauge("shopfuse_index_age_seconds", "Time since the stable one was made.", registry=registry)
        self.release_age = Gauge(
            "shopfuse_release_age_seconds", "Time since the stable one answers here.", registry=registry
        )
        self.release = Gauge("shopfuse_release_info", "The stable release.", ("release_id",), registry=registry)
        self.answers = Counter(
            "shopfuse_release_answers",
            "Answers of each release, completions apart.",
            ("release_id", "outcome"),
            registry=registry,
        )
        self.refused = Counter(
            "shopfuse_release_refused", "Published releases that are not served.", ("reason",), registry=registry
        )
        for reason in REFUSALS:  # a rate needs the 0 before the first one
            self.refused.labels(reason)
        self.triton = Histogram(
            "shopfuse_triton_request_seconds", "Time of calls to Triton.", ("model",), buckets=_STAGE, registry=registry
        )
        self.spans_dropped = Counter(
            "shopfuse_trace_spans_dropped", "Spans that no collector got.", ("reason",), registry=registry
        )
        for reason in ("queue_full", "export"):
            self.spans_dropped.labels(reason)
        self.impressions_dropped = Counter(
            "shopfuse_impressions_dropped", "Impressions that were not logged.", ("reason",), registry=registry
        )


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # :: listens on IPv4, too
        super().server_bind()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A scrape is not worth a line."""


@contextmanager
def serve_metrics(host: str, port: int, registry: CollectorRegistry) -> Iterator[int]:
    """Serves them from a thread of its own; gives the port. Raises OSError where it is taken, AddressError."""
    family, (address, *_) = listening(host, port)
    kind = _Server6 if family == socket.AF_INET6 else _Server
    server = make_server(address, port, make_wsgi_app(registry), kind, _Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(STOP_CHECK_S,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
