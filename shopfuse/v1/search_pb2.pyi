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

class SortOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SORT_ORDER_UNSPECIFIED: _ClassVar[SortOrder]
    SORT_ORDER_PRICE_ASCENDING: _ClassVar[SortOrder]
    SORT_ORDER_PRICE_DESCENDING: _ClassVar[SortOrder]
    SORT_ORDER_NEWEST: _ClassVar[SortOrder]
    SORT_ORDER_POPULARITY: _ClassVar[SortOrder]

class FacetField(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FACET_FIELD_UNSPECIFIED: _ClassVar[FacetField]
    FACET_FIELD_BRAND: _ClassVar[FacetField]
    FACET_FIELD_CATEGORY: _ClassVar[FacetField]
    FACET_FIELD_ATTRIBUTE: _ClassVar[FacetField]
    FACET_FIELD_PRICE: _ClassVar[FacetField]
SORT_ORDER_UNSPECIFIED: SortOrder
SORT_ORDER_PRICE_ASCENDING: SortOrder
SORT_ORDER_PRICE_DESCENDING: SortOrder
SORT_ORDER_NEWEST: SortOrder
SORT_ORDER_POPULARITY: SortOrder
FACET_FIELD_UNSPECIFIED: FacetField
FACET_FIELD_BRAND: FacetField
FACET_FIELD_CATEGORY: FacetField
FACET_FIELD_ATTRIBUTE: FacetField
FACET_FIELD_PRICE: FacetField

class SearchRequest(_message.Message):
    __slots__ = ("query", "query_image", "user_id", "session_id", "context", "filter", "page_size", "page_token", "exclude_item_ids", "explain", "disable_correction", "allow_fallback", "facet_specs", "sort_order")
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
    DISABLE_CORRECTION_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    FACET_SPECS_FIELD_NUMBER: _ClassVar[int]
    SORT_ORDER_FIELD_NUMBER: _ClassVar[int]
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
    disable_correction: bool
    allow_fallback: bool
    facet_specs: _containers.RepeatedCompositeFieldContainer[FacetSpec]
    sort_order: SortOrder
    def __init__(self, query: _Optional[str] = ..., query_image: _Optional[bytes] = ..., user_id: _Optional[str] = ..., session_id: _Optional[str] = ..., context: _Optional[_Union[_item_pb2.RequestContext, _Mapping]] = ..., filter: _Optional[_Union[_item_pb2.ItemFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ..., explain: _Optional[bool] = ..., disable_correction: _Optional[bool] = ..., allow_fallback: _Optional[bool] = ..., facet_specs: _Optional[_Iterable[_Union[FacetSpec, _Mapping]]] = ..., sort_order: _Optional[_Union[SortOrder, str]] = ...) -> None: ...

class FacetSpec(_message.Message):
    __slots__ = ("field", "attribute", "limit", "price_bounds")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PRICE_BOUNDS_FIELD_NUMBER: _ClassVar[int]
    field: FacetField
    attribute: str
    limit: int
    price_bounds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, field: _Optional[_Union[FacetField, str]] = ..., attribute: _Optional[str] = ..., limit: _Optional[int] = ..., price_bounds: _Optional[_Iterable[float]] = ...) -> None: ...

class Facet(_message.Message):
    __slots__ = ("field", "attribute", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: FacetField
    attribute: str
    values: _containers.RepeatedCompositeFieldContainer[FacetValue]
    def __init__(self, field: _Optional[_Union[FacetField, str]] = ..., attribute: _Optional[str] = ..., values: _Optional[_Iterable[_Union[FacetValue, _Mapping]]] = ...) -> None: ...

class FacetValue(_message.Message):
    __slots__ = ("value", "count", "selected", "min_price", "max_price")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SELECTED_FIELD_NUMBER: _ClassVar[int]
    MIN_PRICE_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_FIELD_NUMBER: _ClassVar[int]
    value: str
    count: int
    selected: bool
    min_price: float
    max_price: float
    def __init__(self, value: _Optional[str] = ..., count: _Optional[int] = ..., selected: _Optional[bool] = ..., min_price: _Optional[float] = ..., max_price: _Optional[float] = ...) -> None: ...

class QueryInterpretation(_message.Message):
    __slots__ = ("corrected_query", "brands", "categories", "quantities", "min_price", "max_price", "excluded_words", "relaxed_words", "completed_words")
    CORRECTED_QUERY_FIELD_NUMBER: _ClassVar[int]
    BRANDS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    QUANTITIES_FIELD_NUMBER: _ClassVar[int]
    MIN_PRICE_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_WORDS_FIELD_NUMBER: _ClassVar[int]
    RELAXED_WORDS_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_WORDS_FIELD_NUMBER: _ClassVar[int]
    corrected_query: str
    brands: _containers.RepeatedScalarFieldContainer[str]
    categories: _containers.RepeatedScalarFieldContainer[str]
    quantities: _containers.RepeatedCompositeFieldContainer[Quantity]
    min_price: float
    max_price: float
    excluded_words: _containers.RepeatedScalarFieldContainer[str]
    relaxed_words: _containers.RepeatedScalarFieldContainer[str]
    completed_words: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, corrected_query: _Optional[str] = ..., brands: _Optional[_Iterable[str]] = ..., categories: _Optional[_Iterable[str]] = ..., quantities: _Optional[_Iterable[_Union[Quantity, _Mapping]]] = ..., min_price: _Optional[float] = ..., max_price: _Optional[float] = ..., excluded_words: _Optional[_Iterable[str]] = ..., relaxed_words: _Optional[_Iterable[str]] = ..., completed_words: _Optional[_Iterable[str]] = ...) -> None: ...

class Quantity(_message.Message):
    __slots__ = ("text", "value", "unit")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    text: str
    value: float
    unit: str
    def __init__(self, text: _Optional[str] = ..., value: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("items", "next_page_token", "request_id", "served_by", "degraded", "degradations", "total_size", "facets", "query_interpretation", "fallback")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    QUERY_INTERPRETATION_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.RankedItem]
    next_page_token: str
    request_id: str
    served_by: _item_pb2.ServedBy
    degraded: bool
    degradations: _containers.RepeatedCompositeFieldContainer[_item_pb2.Degradation]
    total_size: int
    facets: _containers.RepeatedCompositeFieldContainer[Facet]
    query_interpretation: QueryInterpretation
    fallback: bool
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.RankedItem, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., request_id: _Optional[str] = ..., served_by: _Optional[_Union[_item_pb2.ServedBy, _Mapping]] = ..., degraded: _Optional[bool] = ..., degradations: _Optional[_Iterable[_Union[_item_pb2.Degradation, _Mapping]]] = ..., total_size: _Optional[int] = ..., facets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., query_interpretation: _Optional[_Union[QueryInterpretation, _Mapping]] = ..., fallback: _Optional[bool] = ...) -> None: ...
