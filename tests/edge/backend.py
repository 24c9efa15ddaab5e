"""A gateway that answers at once, for tests of what is the edge's alone: `python -m tests.edge.backend NAME`.

It prints its port. Its answers tell its name and what it was sent; the query says how it behaves.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from shopfuse.v1 import item_pb2, search_pb2, search_pb2_grpc

SLOW_S = 1.0


class Searches(search_pb2_grpc.SearchServiceServicer):
    def __init__(self, name: str, servicer: health.aio.HealthServicer) -> None:
        self._name = name
        self._health = servicer

    async def Search(  # noqa: N802  (gRPC's name)
        self, request: search_pb2.SearchRequest, context: grpc.aio.ServicerContext
    ) -> search_pb2.SearchResponse:
        words = request.query.split()
        if "slow" in words and words[-1] in ("slow", self._name):
            await asyncio.sleep(SLOW_S)
        if "unavailable" in words and words[-1] in ("unavailable", self._name):
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"{self._name} is away")
        if "sick" in words and words[-1] == self._name:
            await self._health.set("shopfuse.v1.SearchService", health_pb2.HealthCheckResponse.NOT_SERVING)
        if "invalid" in words:
            await context.abort(*_invalid())
        sent = [item_pb2.RankedItem(item_id=key, title=str(value)) for key, value in context.invocation_metadata()]
        left = item_pb2.RankedItem(item_id="time-left", score=context.time_remaining() or 0.0)
        return search_pb2.SearchResponse(request_id=self._name, items=[left, *sent])


class Inferences(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """As much of a Triton as a balancer sees."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def ModelInfer(  # noqa: N802  (gRPC's name)
        self, request: service_pb2.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelInferResponse:
        return service_pb2.ModelInferResponse(model_name=self._name, id=request.id)


def _invalid() -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    status = status_pb2.Status(code=3, message="query: too odd")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="INVALID_REQUEST", domain="shopfuse"))
    return grpc.StatusCode.INVALID_ARGUMENT, status.message, (("grpc-status-details-bin", status.SerializeToString()),)


async def serve(name: str) -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 16 << 20)])
    servicer = health.aio.HealthServicer()
    for service in ("", "shopfuse.v1.SearchService"):
        await servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    search_pb2_grpc.add_SearchServiceServicer_to_server(Searches(name, servicer), server)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Inferences(name), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
