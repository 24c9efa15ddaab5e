import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Device(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_UNSPECIFIED: _ClassVar[Device]
    DEVICE_DESKTOP: _ClassVar[Device]
    DEVICE_MOBILE: _ClassVar[Device]
    DEVICE_APP: _ClassVar[Device]
DEVICE_UNSPECIFIED: Device
DEVICE_DESKTOP: Device
DEVICE_MOBILE: Device
DEVICE_APP: Device

class RequestContext(_message.Message):
    __slots__ = ("scene", "device", "locale", "time")
    SCENE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    scene: str
    device: Device
    locale: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, scene: _Optional[str] = ..., device: _Optional[_Union[Device, str]] = ..., locale: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ItemFilter(_message.Message):
    __slots__ = ("brands", "categories", "attributes", "min_price", "max_price", "include_unavailable")
    BRANDS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    MIN_PRICE_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    brands: _containers.RepeatedScalarFieldContainer[str]
    categories: _containers.RepeatedScalarFieldContainer[str]
    attributes: _containers.RepeatedCompositeFieldContainer[AttributeCondition]
    min_price: float
    max_price: float
    include_unavailable: bool
    def __init__(self, brands: _Optional[_Iterable[str]] = ..., categories: _Optional[_Iterable[str]] = ..., attributes: _Optional[_Iterable[_Union[AttributeCondition, _Mapping]]] = ..., min_price: _Optional[float] = ..., max_price: _Optional[float] = ..., include_unavailable: _Optional[bool] = ...) -> None: ...

class AttributeCondition(_message.Message):
    __slots__ = ("name", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class RankedItem(_message.Message):
    __slots__ = ("item_id", "score", "task_scores", "recall_channels", "explanation", "title", "price", "currency", "image_uri", "group_id", "variants")
    class TaskScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TASK_SCORES_FIELD_NUMBER: _ClassVar[int]
    RECALL_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URI_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    score: float
    task_scores: _containers.ScalarMap[str, float]
    recall_channels: _containers.RepeatedCompositeFieldContainer[ChannelScore]
    explanation: Explanation
    title: str
    price: float
    currency: str
    image_uri: str
    group_id: str
    variants: _containers.RepeatedCompositeFieldContainer[ItemVariant]
    def __init__(self, item_id: _Optional[str] = ..., score: _Optional[float] = ..., task_scores: _Optional[_Mapping[str, float]] = ..., recall_channels: _Optional[_Iterable[_Union[ChannelScore, _Mapping]]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ..., title: _Optional[str] = ..., price: _Optional[float] = ..., currency: _Optional[str] = ..., image_uri: _Optional[str] = ..., group_id: _Optional[str] = ..., variants: _Optional[_Iterable[_Union[ItemVariant, _Mapping]]] = ...) -> None: ...

class ItemVariant(_message.Message):
    __slots__ = ("item_id", "title", "price", "currency", "image_uri")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URI_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    title: str
    price: float
    currency: str
    image_uri: str
    def __init__(self, item_id: _Optional[str] = ..., title: _Optional[str] = ..., price: _Optional[float] = ..., currency: _Optional[str] = ..., image_uri: _Optional[str] = ...) -> None: ...

class ChannelScore(_message.Message):
    __slots__ = ("channel", "score")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    channel: str
    score: float
    def __init__(self, channel: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("modality_weights", "reasons")
    class ModalityWeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MODALITY_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    modality_weights: _containers.ScalarMap[str, float]
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    def __init__(self, modality_weights: _Optional[_Mapping[str, float]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "text")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class ServedBy(_message.Message):
    __slots__ = ("release_id", "model_versions", "experiment_arms")
    class ModelVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ExperimentArmsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ARMS_FIELD_NUMBER: _ClassVar[int]
    release_id: str
    model_versions: _containers.ScalarMap[str, int]
    experiment_arms: _containers.ScalarMap[str, str]
    def __init__(self, release_id: _Optional[str] = ..., model_versions: _Optional[_Mapping[str, int]] = ..., experiment_arms: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Degradation(_message.Message):
    __slots__ = ("stage", "reason")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    stage: str
    reason: str
    def __init__(self, stage: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
