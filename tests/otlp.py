"""A collector of traces as tests see it: it takes OTLP over gRPC, and as JSON over HTTP, and shows a trace."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import grpc
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

Value: TypeAlias = str | bool | int | float | list[str]


@dataclass(frozen=True)
class Span:
    service: str
    trace_id: str
    span_id: str
    parent_id: str  # "" of a root
    name: str
    begin_ns: int
    end_ns: int
    failed: bool
    values: dict[str, Value]

    @property
    def ms(self) -> float:
        return (self.end_ns - self.begin_ns) / 1e6


@dataclass
class Collector:
    grpc: str  # for OTEL_EXPORTER_OTLP_ENDPOINT
    http: str  # for exporters that speak HTTP only
    spans: list[Span] = field(default_factory=list)

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = str(_values(resource.resource.attributes).get("service.name", ""))
            self.spans += [
                Span(
                    service,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == Status.STATUS_CODE_ERROR,
                    _values(span.attributes),
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]

    def roots(self) -> list[Span]:
        """The spans whose parent is not here."""
        known = {span.span_id for span in self.spans}
        return [span for span in self.spans if span.parent_id not in known]

    def below(self, parent: Span) -> list[Span]:
        """The children of a span, in the order of their begin."""
        return sorted((span for span in self.spans if span.parent_id == parent.span_id), key=lambda span: span.begin_ns)

    def tree(self, root: Span) -> list[str]:
        """A trace as text: a line a span, with when it began after the root and how long it took, in ms."""
        return list(self._lines(root, root, 0))

    def _lines(self, span: Span, root: Span, depth: int) -> Iterator[str]:
        began_ms = (span.begin_ns - root.begin_ns) / 1e6
        yield f"{'  ' * depth + span.name:<58}{began_ms:>8.2f}{span.ms:>8.2f}"
        for child in self.below(span):
            yield from self._lines(child, root, depth + 1)


def _from_json(document: dict[str, Any]) -> ExportTraceServiceRequest:
    """OTLP's JSON is protobuf's, but for the ids: hexadecimal where protobuf has base64."""
    for resource in document["resourceSpans"]:
        for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
            for name in {"traceId", "spanId", "parentSpanId"} & span.keys():
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)


def _values(pairs: Sequence[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [str(_value(one)) for one in value.array_value.values]
    found: Value = getattr(value, kind) if kind else ""
    return found


class _Service(TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(  # noqa: N802  (gRPC's name)
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self._collector.take(request)
        return ExportTraceServiceResponse()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Two free ports, until the end of the block."""
    collector = Collector("", "")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(_from_json(json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(_Service(collector), server)
    collector.grpc = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        collector.http = f"http://127.0.0.1:{http.server_port}/v1/traces"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            http.shutdown()
            thread.join()
            server.stop(None).wait()
