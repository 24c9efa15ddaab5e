from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from shopfuse.v1 import item_pb2 as _item_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchRequest(_message.Message):
    __slots__ = ("query", "query_image", "user_id", "session_id", "context", "filter", "page_size", "page_token", "exclude_item_ids", "explain")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    QUERY_IMAGE_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    query: str
    query_image: bytes
    user_id: str
    session_id: str
    context: _item_pb2.RequestContext
    filter: _item_pb2.ItemFilter
    page_size: int
    page_token: str
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    explain: bool
    def __init__(self, query: _Optional[str] = ..., query_image: _Optional[bytes] = ..., user_id: _Optional[str] = ..., session_id: _Optional[str] = ..., context: _Optional[_Union[_item_pb2.RequestContext, _Mapping]] = ..., filter: _Optional[_Union[_item_pb2.ItemFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ..., explain: _Optional[bool] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("items", "next_page_token", "request_id", "served_by", "degraded", "degradations")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.RankedItem]
    next_page_token: str
    request_id: str
    served_by: _item_pb2.ServedBy
    degraded: bool
    degradations: _containers.RepeatedCompositeFieldContainer[_item_pb2.Degradation]
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.RankedItem, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., request_id: _Optional[str] = ..., served_by: _Optional[_Union[_item_pb2.ServedBy, _Mapping]] = ..., degraded: _Optional[bool] = ..., degradations: _Optional[_Iterable[_Union[_item_pb2.Degradation, _Mapping]]] = ...) -> None: ...
