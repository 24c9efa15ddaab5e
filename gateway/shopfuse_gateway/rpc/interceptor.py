"""The outermost layer of every call: clear statuses, metrics, spans, log and admission, so that servicers hold none of
it.

Bytes that do not parse become INVALID_ARGUMENT; a named error becomes its status; anything else becomes INTERNAL with
an opaque id. Cancellation is never swallowed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import nullcontext
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.trace import Span, StatusCode

from shopfuse_gateway.errors import MalformedRequest, Overloaded
from shopfuse_gateway.rpc.admission import Admission
from shopfuse_gateway.rpc.status import status_of
from shopfuse_gateway.telemetry.logs import OF_CALLERS, report
from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.request_trace import RequestTrace
from shopfuse_gateway.telemetry.tracing import NO_SPAN, Tracing

# As the Go libraries spell them, so that public dashboards fit.
CODE_NAMES = {code: code.name.title().replace("_", "") for code in grpc.StatusCode} | {grpc.StatusCode.OK: "OK"}
MALFORMED = object()
Context: TypeAlias = grpc.aio.ServicerContext


class CallMetrics:
    """The metrics of one method, with their labels looked up once and every code present from the start."""

    def __init__(self, metrics: Metrics, method: str, kind: str) -> None:
        self.method = method
        _, service, name = method.split("/")
        labels = (kind, service, name)
        self.started = metrics.started.labels(*labels)
        self.handling = metrics.handling.labels(*labels)
        self.handled = {code: metrics.handled.labels(*labels, name) for code, name in CODE_NAMES.items()}


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc is untyped
    """`admitted` are the methods (/package.Service/Method) that count against the limit; health checks never do."""

    def __init__(
        self, metrics: Metrics, admission: Admission, admitted: Iterable[str], tracing: Tracing, slow_s: float
    ) -> None:
        self._metrics = metrics
        self._tracing = tracing
        self._slow_s = slow_s
        self._admission = admission
        self._admitted = frozenset(admitted)
        self._wrapped: dict[str, grpc.RpcMethodHandler] = {}
        self._calls = {method: CallMetrics(metrics, method, "unary") for method in self._admitted}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        if wrapped := self._wrapped.get(details.method):
            # Refused before the request is even parsed: in an overload the refusals must cost little.
            if details.method in self._admitted and (refusal := self._admission.refusal()):
                return self._refuse(details.method, refusal)
            return wrapped
        handler = await continuation(details)
        if handler is None:
            return None  # gRPC answers UNIMPLEMENTED; no metric, so that strangers cannot make series
        wrapped = self._wrapped[details.method] = self._wrap(details.method, handler)
        return wrapped

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        parse, write = _tolerant(handler.request_deserializer), handler.response_serializer
        if handler.unary_unary:
            unary = self._unary(method, handler.unary_unary)
            return grpc.unary_unary_rpc_method_handler(unary, parse, write)
        if handler.unary_stream:
            stream = self._stream(method, handler.unary_stream, "server_stream")
            return grpc.unary_stream_rpc_method_handler(stream, parse, write)
        stream = self._stream(method, _checked(handler.stream_stream), "bidi_stream")
        return grpc.stream_stream_rpc_method_handler(stream, parse, write)

    def _unary(self, method: str, behaviour: Callable[[Any, Context], Awaitable[Any]]) -> Callable[..., Any]:
        call = self._calls.get(method) or CallMetrics(self._metrics, method, "unary")
        is_admitted = method in self._admitted

        async def answer(request: object, context: Context) -> object:
            started = time.perf_counter()
            call.started.inc()
            code = grpc.StatusCode.OK
            with self._tracing.server_span(method, context) if is_admitted else NO_SPAN as span:
                trace = RequestTrace.begin(self._metrics, self._tracing)
                try:
                    _check_parsed(request)
                    with self._admission.place() if is_admitted else nullcontext():
                        return await behaviour(request, context)
                except asyncio.CancelledError:
                    code = _why_cancelled(context)
                    raise
                except grpc.aio.AbortError:
                    code = context.code() or grpc.StatusCode.UNKNOWN
                    raise
                except Exception as error:  # noqa: BLE001  the one place that turns errors into statuses
                    code, text, trailing = status_of(error)
                finally:
                    self._ended(call, code, time.perf_counter() - started, trace, span)
            return await context.abort(code, text, trailing)

        return answer

    def _ended(self, call: CallMetrics, code: grpc.StatusCode, took_s: float, trace: RequestTrace, span: Span) -> None:
        call.handled[code].inc()
        call.handling.observe(took_s, trace.exemplar)
        report(call.method, code, took_s, self._slow_s, trace)
        if span.is_recording():
            _describe(span, code, trace)

    def _refuse(self, method: str, refusal: Overloaded) -> grpc.RpcMethodHandler:
        call = self._calls[method]

        async def refuse(request: object, context: Context) -> None:
            call.started.inc()
            code, text, trailing = status_of(refusal)
            call.handled[code].inc()
            report(method, code, 0.0, self._slow_s, RequestTrace(self._metrics))
            await context.abort(code, text, trailing)

        return grpc.unary_unary_rpc_method_handler(refuse)

    def _stream(
        self, method: str, behaviour: Callable[[Any, Context], AsyncIterator[Any]], kind: str
    ) -> Callable[..., Any]:
        call = CallMetrics(self._metrics, method, kind)

        async def answer(request: object, context: Context) -> AsyncIterator[object]:
            call.started.inc()
            code = grpc.StatusCode.OK
            try:
                _check_parsed(request)
                async for response in behaviour(request, context):
                    yield response
                return
            except asyncio.CancelledError:
                code = _why_cancelled(context)
                raise
            except Exception as error:  # noqa: BLE001  the one place that turns errors into statuses
                code, text, trailing = status_of(error)
            finally:
                call.handled[code].inc()
            await context.abort(code, text, trailing)

        return answer


def _describe(span: Span, code: grpc.StatusCode, trace: RequestTrace) -> None:
    """What helps whoever is on call, and names no user and nothing that was looked for."""
    span.set_attributes(
        {
            "rpc.system.name": "grpc",
            "rpc.response.status_code": code.name,
            "shopfuse.request_id": trace.request_id,
            "shopfuse.release_id": trace.release_id,
            "shopfuse.scene": trace.scene,
            "shopfuse.degraded": bool(trace.degradations),
            "shopfuse.degradations": [f"{stage}:{reason}" for stage, reason in trace.degradations],
        }
    )
    if trace.items is not None:
        span.set_attribute("shopfuse.items", trace.items)
    if code is not grpc.StatusCode.OK and code not in OF_CALLERS:
        span.set_status(StatusCode.ERROR, code.name)


def _tolerant(parse: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Marks bytes that do not parse instead of raising: grpc would answer UNKNOWN with the names of our classes."""

    def parsed(data: bytes) -> object:
        try:
            return parse(data)
        except DecodeError:
            return MALFORMED

    return parsed


def _check_parsed(request: object) -> None:
    if request is MALFORMED:
        raise MalformedRequest("the request is not a valid protobuf message of this method")


def _checked(behaviour: Callable[[Any, Context], AsyncIterator[Any]]) -> Callable[[Any, Context], AsyncIterator[Any]]:
    """Raises where a message of the incoming stream did not parse."""

    async def messages(requests: AsyncIterator[object]) -> AsyncIterator[object]:
        async for request in requests:
            _check_parsed(request)
            yield request

    def answer(requests: AsyncIterator[object], context: Context) -> AsyncIterator[object]:
        return behaviour(messages(requests), context)

    return answer


def _why_cancelled(context: Context) -> grpc.StatusCode:
    left_s = context.time_remaining()
    return grpc.StatusCode.CANCELLED if left_s is None or left_s > 0 else grpc.StatusCode.DEADLINE_EXCEEDED
