"""Checks requests against the rules that the .proto files declare. One validator for the process; it is thread-safe."""

from __future__ import annotations

import protovalidate
from google.protobuf.message import Message

from shopfuse_gateway.errors import InvalidRequest

_Path = protovalidate.FieldPathPb


def _segment(name: str, subscript: object) -> str:
    return name if subscript is None else f"{name}[{getattr(subscript, 'value', subscript)}]"


def path_text(path: _Path | None) -> str:
    """A field path as the AIPs write it: filter.brands[0]; "" for the whole message."""
    if path is None:
        return ""
    return ".".join(_segment(element.field_name, element.subscript) for element in path.elements)


class RequestValidator:
    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def warm(self, *requests: Message) -> None:
        """Compiles the rules of these types: the first check of a type takes about 10 ms."""
        for request in requests:
            self._validator.collect_violations(request)

    def check(self, request: Message) -> None:
        """Raises InvalidRequest that names every field which breaks a rule."""
        if violations := self._validator.collect_violations(request):
            raise InvalidRequest([(path_text(v.proto.field), v.proto.message) for v in violations])
