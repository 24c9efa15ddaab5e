"""Sends spans to an OpenTelemetry collector by OTLP over gRPC, as the standard OTEL_* variables say.

No request waits for the collector: spans queue for a thread of the SDK, and what is lost on the way is counted. Import
it where it is wanted: SDK and exporter take 9 MB of memory.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.tracing import Tracing

SERVICE = "shopfuse-gateway"  # unless OTEL_SERVICE_NAME says otherwise
SHARE = 0.01  # of the requests that no caller decided for, unless OTEL_TRACES_SAMPLER says otherwise
FLUSH_S = 2.0  # for the last spans when the gateway stops: a collector that is gone must not hold it up


class SpanExport:
    """The spans of one gateway on their way to the collector. Close it."""

    def __init__(self, metrics: Metrics) -> None:
        # One line for each batch that is lost is enough: not one for each of its tries.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
        resource = Resource({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
        self._exporter = CountedExporter(metrics)
        is_chosen = bool(os.environ.get("OTEL_TRACES_SAMPLER"))  # then the SDK draws, as it says
        sampler = None if is_chosen else ParentBased(ALWAYS_ON)
        self._provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(CountedQueue(self._exporter, metrics))
        self.tracing = Tracing(self._provider.get_tracer(SERVICE), 1.0 if is_chosen else SHARE)

    def close(self) -> None:
        """Sends the last spans; blocks for FLUSH_S at most."""
        overdue = threading.Timer(FLUSH_S, self._exporter.shutdown)
        overdue.start()
        self._provider.shutdown()
        overdue.cancel()


class CountedExporter(SpanExporter):
    """OTLP over gRPC; counts the spans that no collector took."""

    def __init__(self, metrics: Metrics) -> None:
        self._exporter = OTLPSpanExporter()
        self._lost = metrics.spans_dropped.labels("export")
        self._is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self._is_shut else self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._lost.inc(len(spans))
        return result

    def shutdown(self) -> None:
        """Ends an export that is being tried, too. The second time does nothing."""
        if not self._is_shut:
            self._is_shut = True
            self._exporter.shutdown()


class CountedQueue(BatchSpanProcessor):
    """The SDK's queue, which forgets its oldest span where it is full; counts them."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        super().__init__(exporter)
        self._forgotten = metrics.spans_dropped.labels("queue_full")

    def on_end(self, span: ReadableSpan) -> None:
        queue = self._batch_processor._queue  # the SDK counts it only for a metrics pipeline of its own
        if len(queue) == queue.maxlen:
            self._forgotten.inc()
        super().on_end(span)
