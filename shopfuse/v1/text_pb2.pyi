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

class TextTask(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_TASK_UNSPECIFIED: _ClassVar[TextTask]
    TEXT_TASK_CATEGORY: _ClassVar[TextTask]
    TEXT_TASK_SENTIMENT: _ClassVar[TextTask]
TEXT_TASK_UNSPECIFIED: TextTask
TEXT_TASK_CATEGORY: TextTask
TEXT_TASK_SENTIMENT: TextTask

class ClassifyTextRequest(_message.Message):
    __slots__ = ("texts", "tasks", "top_k")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    tasks: _containers.RepeatedScalarFieldContainer[TextTask]
    top_k: int
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., tasks: _Optional[_Iterable[_Union[TextTask, str]]] = ..., top_k: _Optional[int] = ...) -> None: ...

class ClassifyTextResponse(_message.Message):
    __slots__ = ("classifications", "request_id", "served_by")
    CLASSIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    classifications: _containers.RepeatedCompositeFieldContainer[TextClassification]
    request_id: str
    served_by: _item_pb2.ServedBy
    def __init__(self, classifications: _Optional[_Iterable[_Union[TextClassification, _Mapping]]] = ..., request_id: _Optional[str] = ..., served_by: _Optional[_Union[_item_pb2.ServedBy, _Mapping]] = ...) -> None: ...

class TextClassification(_message.Message):
    __slots__ = ("category", "sentiment", "truncated")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SENTIMENT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    category: TextCategory
    sentiment: TextSentiment
    truncated: bool
    def __init__(self, category: _Optional[_Union[TextCategory, _Mapping]] = ..., sentiment: _Optional[_Union[TextSentiment, _Mapping]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class TextCategory(_message.Message):
    __slots__ = ("category", "probability", "labels")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    category: str
    probability: float
    labels: _containers.RepeatedCompositeFieldContainer[LabelProbability]
    def __init__(self, category: _Optional[str] = ..., probability: _Optional[float] = ..., labels: _Optional[_Iterable[_Union[LabelProbability, _Mapping]]] = ...) -> None: ...

class TextSentiment(_message.Message):
    __slots__ = ("sentiment", "score", "labels")
    SENTIMENT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    sentiment: str
    score: float
    labels: _containers.RepeatedCompositeFieldContainer[LabelProbability]
    def __init__(self, sentiment: _Optional[str] = ..., score: _Optional[float] = ..., labels: _Optional[_Iterable[_Union[LabelProbability, _Mapping]]] = ...) -> None: ...

class LabelProbability(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...
