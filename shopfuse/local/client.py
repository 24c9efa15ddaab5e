"""A blocking client of the gateway for the commands: one channel, errors as one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from shopfuse.core.errors import ShopfuseError
from shopfuse.v1 import completion_pb2_grpc, recommendation_pb2_grpc, search_pb2_grpc, text_pb2_grpc

OPTIONS = [("grpc.max_receive_message_length", 16 << 20)]


class RequestFailed(ShopfuseError):
    """The gateway refused the request or did not answer."""


class Client:
    """Stubs of all services at one address."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.searches: Any = search_pb2_grpc.SearchServiceStub(channel)
        self.recommendations: Any = recommendation_pb2_grpc.RecommendationServiceStub(channel)
        self.texts: Any = text_pb2_grpc.TextServiceStub(channel)
        self.completions: Any = completion_pb2_grpc.CompletionServiceStub(channel)


@contextmanager
def connect(address: str) -> Iterator[Client]:
    with grpc.insecure_channel(address, OPTIONS) as channel:
        yield Client(channel)


def violations(error: grpc.RpcError) -> str:
    """The field violations of an error, as "; field: problem"."""
    status = rpc_status.from_call(error)
    texts = []
    for detail in status.details if status else ():
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            texts += [f"; {violation.field}: {violation.description}" for violation in bad.field_violations]
    return "".join(texts)


def timed_call(method: Any, request: Any, timeout_s: float) -> tuple[Any, str]:
    """(the response, how long each stage took as the gateway tells). Raises RequestFailed with the fields at fault."""
    try:
        response, call_ = method.with_call(request, timeout=timeout_s)
    except grpc.RpcError as error:
        raise RequestFailed(f"{error.code().name}: {error.details()}{violations(error)}") from None
    return response, dict(call_.trailing_metadata() or ()).get("server-timing", "")


def call(method: Any, request: Any, timeout_s: float) -> Any:
    """One call's response. Raises RequestFailed."""
    return timed_call(method, request, timeout_s)[0]


def document(response: Any) -> dict[str, object]:
    """The response as a JSON-able dict with the names of the .proto files."""
    fields: dict[str, object] = MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return fields
