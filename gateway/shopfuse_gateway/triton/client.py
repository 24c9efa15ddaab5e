"""Calls to Triton over the KServe v2 protocol: one channel per process, a timeout on every call, a circuit for
each version of a model.

It knows nothing of ranking. A call that cannot give a whole, finite answer in time raises TritonCallError; the caller
answers without it. Retries are the clients' business: one layer retries, or a failing Triton meets a storm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from opentelemetry.trace import SpanKind, StatusCode
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.core.errors import ShopfuseError
from shopfuse_gateway.telemetry.metrics import Metrics
from shopfuse_gateway.telemetry.tracing import Tracing, exemplar
from shopfuse_gateway.triton.circuit_breaker import CircuitBreaker
from shopfuse_gateway.triton.served_model import Arrays, BadOutput, ServedModel

log = logging.getLogger(__name__)

METHOD = "/inference.GRPCInferenceService/ModelInfer"
MIN_TIMEOUT_S = 0.002  # below this a call would only load Triton
FAIR_TIMEOUT_S = 0.05  # a call that had less time says nothing about Triton's health when it is late
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_retries", 0),
    # Of a name with several addresses (dns:///triton:8001) all are asked in turn, not only the first.
    ("grpc.lb_policy_name", "round_robin"),
)


class TritonCallError(ShopfuseError):
    """A call without a usable answer. `reason`: UNAVAILABLE, LATE or INVALID_OUTPUT."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class TritonClient:
    """Use inside a running event loop, and close it."""

    def __init__(
        self, target: str, breaker_failures: int, breaker_retry_s: float, metrics: Metrics, tracing: Tracing
    ) -> None:
        self._channel = grpc.aio.insecure_channel(target, options=OPTIONS)
        self._infer = self._channel.unary_unary(METHOD, None, service_pb2.ModelInferResponse.FromString)
        self._control = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._breaker_settings = (breaker_failures, breaker_retry_s)
        self._breakers: dict[tuple[str, str], CircuitBreaker] = {}
        self._metrics = metrics
        self._tracing = tracing

    async def close(self) -> None:
        await self._channel.close()

    async def ready(self, model: ServedModel, timeout_s: float) -> bool:
        request = service_pb2.ModelReadyRequest(name=model.name, version=model.version)
        try:
            return bool((await self._control.ModelReady(request, timeout=timeout_s)).ready)
        except grpc.aio.AioRpcError:
            return False

    async def infer(
        self, model: ServedModel, arrays: Arrays, axes: Mapping[str, int], timeout_s: float
    ) -> dict[str, NDArray[np.float32]]:
        """The model's outputs for one batch of 1, without the batch axis. Raises TritonCallError."""
        values = {"shopfuse.model": model.name, "shopfuse.model_version": model.version}
        with self._tracing.span(f"triton {model.name}", values, SpanKind.CLIENT) as span:
            try:
                return await self._guarded_call(model, arrays, axes, timeout_s)
            except TritonCallError as error:
                span.set_status(StatusCode.ERROR, error.reason)
                raise

    async def _guarded_call(
        self, model: ServedModel, arrays: Arrays, axes: Mapping[str, int], timeout_s: float
    ) -> dict[str, NDArray[np.float32]]:
        if timeout_s < MIN_TIMEOUT_S:
            raise TritonCallError("LATE", f"{model.name}: {timeout_s * 1000:.0f} ms left")
        breaker = self._breaker(model)
        if not breaker.allows():
            raise TritonCallError("UNAVAILABLE", f"{model.name}: circuit open")
        try:
            outputs = model.read(await self._timed_call(model, model.request(arrays, axes), timeout_s), axes)
        except BadOutput as error:
            raise self._failed(breaker, TritonCallError("INVALID_OUTPUT", str(error))) from error
        except grpc.aio.AioRpcError as error:
            raise self._failed(breaker, _named(model, error), timeout_s) from error
        breaker.succeeded()
        return outputs

    async def _timed_call(self, model: ServedModel, request: bytes, timeout_s: float) -> Any:
        started = time.perf_counter()
        try:
            return await self._infer(request, timeout=timeout_s, metadata=self._tracing.headers())
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise TritonCallError("UNAVAILABLE", f"{model.name}: the call was cancelled") from None
        finally:
            self._metrics.triton.labels(model.name).observe(time.perf_counter() - started, exemplar())

    def _failed(
        self, breaker: CircuitBreaker, error: TritonCallError, timeout_s: float = FAIR_TIMEOUT_S
    ) -> TritonCallError:
        log.warning("%s: %s", error.reason, error)
        if error.reason != "LATE" or timeout_s >= FAIR_TIMEOUT_S:
            breaker.failed()
        return error

    def forget(self, model: ServedModel) -> None:
        """Drops what is kept for a model that no release names any more."""
        self._breakers.pop((model.name, model.version), None)
        if not any(name == model.name for name, _ in self._breakers):
            with suppress(KeyError):  # it was never called
                self._metrics.triton.remove(model.name)

    def _breaker(self, model: ServedModel) -> CircuitBreaker:
        """One for each version: a canary's broken model must not open the circuit of the stable one."""
        key = model.name, model.version
        if key not in self._breakers:
            self._breakers[key] = CircuitBreaker(*self._breaker_settings)
        return self._breakers[key]


def _named(model: ServedModel, error: grpc.aio.AioRpcError) -> TritonCallError:
    late = error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    return TritonCallError("LATE" if late else "UNAVAILABLE", f"{model.name}: {error.code().name} {error.details()}")
