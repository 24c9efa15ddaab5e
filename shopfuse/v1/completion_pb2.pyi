from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from shopfuse.v1 import item_pb2 as _item_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CompletionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPLETION_KIND_UNSPECIFIED: _ClassVar[CompletionKind]
    COMPLETION_KIND_QUERY: _ClassVar[CompletionKind]
    COMPLETION_KIND_CATEGORY: _ClassVar[CompletionKind]
    COMPLETION_KIND_BRAND: _ClassVar[CompletionKind]
COMPLETION_KIND_UNSPECIFIED: CompletionKind
COMPLETION_KIND_QUERY: CompletionKind
COMPLETION_KIND_CATEGORY: CompletionKind
COMPLETION_KIND_BRAND: CompletionKind

class CompleteQueryRequest(_message.Message):
    __slots__ = ("prefix", "max_completions", "kinds")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    MAX_COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    max_completions: int
    kinds: _containers.RepeatedScalarFieldContainer[CompletionKind]
    def __init__(self, prefix: _Optional[str] = ..., max_completions: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[CompletionKind, str]]] = ...) -> None: ...

class Completion(_message.Message):
    __slots__ = ("kind", "text", "items")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    kind: CompletionKind
    text: str
    items: int
    def __init__(self, kind: _Optional[_Union[CompletionKind, str]] = ..., text: _Optional[str] = ..., items: _Optional[int] = ...) -> None: ...

class CompleteQueryResponse(_message.Message):
    __slots__ = ("completions", "request_id", "served_by")
    COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    completions: _containers.RepeatedCompositeFieldContainer[Completion]
    request_id: str
    served_by: _item_pb2.ServedBy
    def __init__(self, completions: _Optional[_Iterable[_Union[Completion, _Mapping]]] = ..., request_id: _Optional[str] = ..., served_by: _Optional[_Union[_item_pb2.ServedBy, _Mapping]] = ...) -> None: ...
