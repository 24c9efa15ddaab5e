"""The API as Envoy needs it: its methods, which of them change nothing, and its descriptors for JSON."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions

PACKAGE = "shopfuse.v1"
RULES = "buf/validate/validate.proto"


@dataclass(frozen=True, slots=True)
class Method:
    service: str  # package.Service
    name: str
    is_safe: bool  # changes nothing, so that it may be sent twice: `idempotency_level = NO_SIDE_EFFECTS` in the .proto

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"


@cache
def _described() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((files("shopfuse.v1") / "api.binpb").read_bytes())


def methods() -> list[Method]:
    """Of all services, in the order of the files."""
    return [
        Method(
            f"{PACKAGE}.{service.name}", method.name, method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
        )
        for file in _described().file
        if file.package == PACKAGE
        for service in file.service
        for method in service.method
    ]


def services() -> list[str]:
    return list(dict.fromkeys(method.service for method in methods()))


def descriptors() -> str:
    """The FileDescriptorSet in base64, without the rules' schema: three quarters of it, and the gateway checks them."""
    kept = FileDescriptorSet()
    for file in _described().file:
        if file.name != RULES:
            one = kept.file.add()
            one.CopyFrom(file)
            one.dependency[:] = [name for name in file.dependency if name != RULES]
    return base64.b64encode(kept.SerializeToString(deterministic=True)).decode()
