"""Spans of requests, and the W3C trace context that comes with a call and goes on to Triton.

Where they go is span_export.py's task. Spans hold neither user ids nor queries nor item ids.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Tracer, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shopfuse.ranking.user_state import UserState
from shopfuse.state.store import Display, FeatureStore

Values: TypeAlias = Mapping[str, str | bool | int | float | Sequence[str]]
Headers: TypeAlias = tuple[tuple[str, str], ...]

TRACEPARENT = "traceparent"
PROPAGATOR = TraceContextTextMapPropagator()
NO_SPAN: AbstractContextManager[Span] = nullcontext(INVALID_SPAN)


class Tracing:
    """Makes spans, each a child of the current one. Without a tracer it makes none, which costs nothing.

    `share` of the requests that bring no trace get one, if the tracer's sampler agrees. It is drawn here, because the
    SDK takes 40 us to come to a no.
    """

    def __init__(self, tracer: Tracer | None = None, share: float = 1.0) -> None:
        self._tracer = tracer
        self._share = share

    def server_span(self, method: str, context: grpc.aio.ServicerContext) -> AbstractContextManager[Span]:
        """Of a call that is answered: a child of its caller's span, where its metadata name one (traceparent)."""
        if self._tracer is None:
            return NO_SPAN
        metadata = dict(context.invocation_metadata() or ())
        if TRACEPARENT not in metadata and random.random() >= self._share:
            return NO_SPAN
        caller = PROPAGATOR.extract(metadata)
        return self._tracer.start_as_current_span(
            method.removeprefix("/"), caller, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        )

    def span(
        self, name: str, values: Values | None = None, kind: SpanKind = SpanKind.INTERNAL
    ) -> AbstractContextManager[Span]:
        """Of a part of the request; none where the request is not sampled."""
        if self._tracer is None or not get_current_span().is_recording():
            return NO_SPAN
        return self._tracer.start_as_current_span(
            name, kind=kind, attributes=values, record_exception=False, set_status_on_exception=False
        )

    def headers(self) -> Headers | None:
        """What hands the current span on to Triton. Nothing of a request that is not sampled, although W3C's flag could
        say so: Triton 2.51 ignores it and makes spans of every call that brings a context.
        """
        if self._tracer is None or not get_current_span().is_recording():
            return None
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier)
        return tuple(carrier.items())


OFF = Tracing()


def trace_id() -> str:
    """Of the current span, as logs and exemplars have it; "" without one."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else ""


def exemplar() -> dict[str, str] | None:
    """The trace that an observation of a histogram is an example of, where that trace is recorded."""
    span = get_current_span()
    return {"trace_id": format_trace_id(span.get_span_context().trace_id)} if span.is_recording() else None


class TracedStore:
    """A feature store whose reads are spans."""

    def __init__(self, store: FeatureStore, tracing: Tracing) -> None:
        self._store = store
        self._tracing = tracing

    def users(self, user_ids: Sequence[str]) -> list[UserState]:
        with self._tracing.span("feature_store users", {"shopfuse.reads": len(user_ids)}, SpanKind.CLIENT):
            return self._store.users(user_ids)

    def items(self, item_ids: Sequence[bytes]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        with self._tracing.span("feature_store items", {"shopfuse.reads": len(item_ids)}, SpanKind.CLIENT):
            return self._store.items(item_ids)

    def display(self, item_ids: Sequence[bytes]) -> list[Display | None]:
        with self._tracing.span("feature_store display", {"shopfuse.reads": len(item_ids)}, SpanKind.CLIENT):
            return self._store.display(item_ids)
