"""Requests are checked against the rules that the .proto files declare, by bounded work, with a bounded answer.

A request of few bytes may hold a million items: lists are counted before anything looks into them, and the first that
is too long ends the check. So the rest never sees more than the .proto files allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import protovalidate
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from shopfuse_gateway.errors import InvalidRequest

MOST_TOLD = 20  # violations in an answer: its status travels in headers, of which clients take 8 KiB by default


class RequestValidator:
    """Compiled rules, which every request type shares."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def warm(self, *requests: Message) -> None:
        """Compiles the rules of these types: the first check of a type takes about 10 ms."""
        for request in requests:
            self.check(request)

    def check(self, request: Message) -> None:
        """Raises InvalidRequest that names the first list that is too long, or the fields that break another rule."""
        if too_long := next(_too_long(request), None):
            raise InvalidRequest([too_long])
        if violations := self._validator.collect_violations(request):
            told = [(_path_text(v.proto.field), v.proto.message) for v in violations[:MOST_TOLD]]
            if more := len(violations) - len(told):
                told.append(("", f"{more} more"))
            raise InvalidRequest(told)


@cache
def _lists(kind: Descriptor) -> tuple[tuple[str, int, bool], ...]:
    """(name, the most items, whether they are messages) of the lists in messages of this kind."""
    found = []
    for field in kind.fields:
        if field.is_repeated:
            most = field.GetOptions().Extensions[validate_pb2.field].repeated.max_items
            found.append((field.name, most, field.message_type is not None))
    return tuple(found)


@cache
def _messages(kind: Descriptor) -> tuple[str, ...]:
    """The fields that hold one message each."""
    return tuple(field.name for field in kind.fields if field.message_type and not field.is_repeated)


def _too_long(message: Message, path: str = "") -> Iterator[tuple[str, str]]:
    """The lists that hold more than they may, a list before what is in it."""
    for name, most, holds_messages in _lists(message.DESCRIPTOR):
        items = getattr(message, name)
        if len(items) > most:
            yield f"{path}{name}", f"must hold at most {most} items, holds {len(items)}"
        elif holds_messages:
            for at, item in enumerate(items):
                yield from _too_long(item, f"{path}{name}[{at}].")
    for name in _messages(message.DESCRIPTOR):
        if message.HasField(name):
            yield from _too_long(getattr(message, name), f"{path}{name}.")


def _segment(name: str, subscript: object) -> str:
    return name if subscript is None else f"{name}[{getattr(subscript, 'value', subscript)}]"


def _path_text(path: protovalidate.FieldPathPb | None) -> str:
    """A field path as the AIPs write it: filter.brands[0]; "" for the whole message."""
    if path is None:
        return ""
    return ".".join(_segment(element.field_name, element.subscript) for element in path.elements)
