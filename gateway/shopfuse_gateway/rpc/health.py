"""The standard health service, Check and Watch.

Once it has started, readiness is not tied to Triton: a gateway without it still answers, degraded, and a whole fleet
must not leave at once.
Written here because the stock asyncio servicer forgets the other watchers of a service when one of them leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Status: TypeAlias = health_pb2.HealthCheckResponse.ServingStatus


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated code is untyped
    def __init__(self, services: Iterable[str]) -> None:
        self._status = dict.fromkeys(("", *services), health_pb2.HealthCheckResponse.NOT_SERVING)
        self._changed = asyncio.Condition()
        self._closed = False

    async def set_all(self, serving: bool) -> None:
        """Sets every service and wakes the watchers."""
        now = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        async with self._changed:
            self._status = dict.fromkeys(self._status, now)
            self._changed.notify_all()

    async def close(self) -> None:
        """Ends every watch, so that the server need not wait for streams that never end."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def Check(  # noqa: N802  (gRPC's name)
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in self._status:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=self._status[request.service])

    async def Watch(  # noqa: N802  (gRPC's name)
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        told: Status | None = None
        while True:
            async with self._changed:
                await self._changed.wait_for(partial(self._has_news, request.service, told))
            if self._closed:
                return
            told = self._now(request.service)
            yield health_pb2.HealthCheckResponse(status=told)

    def _now(self, service: str) -> Status:
        return self._status.get(service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)

    def _has_news(self, service: str, told: Status | None) -> bool:
        return self._closed or self._now(service) != told
