"""How a named error becomes a gRPC status: one table. Anything that is not in it is a bug, told apart by an opaque id.

A status carries google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they help (AIP-193).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator

import grpc
from google.protobuf import any_pb2, message
from google.rpc import error_details_pb2, status_pb2

from shopfuse.core.errors import ShopfuseError
from shopfuse_gateway.errors import (
    DeadlineTooShort,
    InvalidPageToken,
    InvalidRequest,
    ItemNotFound,
    MalformedRequest,
    ModelUnavailable,
    Overloaded,
    PageTokenExpired,
    Unsupported,
)

log = logging.getLogger(__name__)

DOMAIN = "shopfuse"
# The first class that fits wins.
STATUS: tuple[tuple[type[ShopfuseError], grpc.StatusCode, str], ...] = (
    (MalformedRequest, grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST"),
    (InvalidPageToken, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"),
    (InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    (PageTokenExpired, grpc.StatusCode.ABORTED, "PAGE_TOKEN_EXPIRED"),
    (ItemNotFound, grpc.StatusCode.NOT_FOUND, "ITEM_NOT_FOUND"),
    (Unsupported, grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED"),
    (Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (ModelUnavailable, grpc.StatusCode.UNAVAILABLE, "MODEL_UNAVAILABLE"),
    (DeadlineTooShort, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT"),
)
Metadata = tuple[tuple[str, str | bytes], ...]


def _details(error: Exception, reason: str) -> Iterator[message.Message]:
    yield error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    if isinstance(error, InvalidRequest):
        rows = [
            error_details_pb2.BadRequest.FieldViolation(field=path, description=problem)
            for path, problem in error.violations
        ]
        yield error_details_pb2.BadRequest(field_violations=rows)
    if isinstance(error, Overloaded | ModelUnavailable):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(error.retry_after_s * 1000))
        yield retry


def _pack(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _known(error: Exception) -> tuple[grpc.StatusCode, str, str]:
    for kind, code, reason in STATUS:
        if isinstance(error, kind):
            return code, reason, str(error)
    incident = uuid.uuid4().hex[:12]
    log.error("incident %s", incident, exc_info=error)
    return grpc.StatusCode.INTERNAL, "INTERNAL", f"internal error, incident {incident}"


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, Metadata]:
    """(code, text, trailing metadata) for an error. An unknown one is logged with its traceback under the text's id."""
    code, reason, text = _known(error)
    status = status_pb2.Status(code=code.value[0], message=text, details=map(_pack, _details(error, reason)))
    trailing: Metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    if isinstance(error, Overloaded):
        trailing += (("grpc-retry-pushback-ms", str(int(error.retry_after_s * 1000))),)
    return code, text, trailing
