from glimpse.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Backbone(_message.Message):
    __slots__ = ("name", "description", "modalities", "dimension", "embedding_space", "image_size", "context_length", "logit_scale", "logit_bias", "prompt_templates", "license", "providers", "default_match_threshold", "default_match_margin", "parent_embedding_space", "parent_min_cosine", "background_vocabulary_size")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SPACE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    LOGIT_SCALE_FIELD_NUMBER: _ClassVar[int]
    LOGIT_BIAS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    LICENSE_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MATCH_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MATCH_MARGIN_FIELD_NUMBER: _ClassVar[int]
    PARENT_EMBEDDING_SPACE_FIELD_NUMBER: _ClassVar[int]
    PARENT_MIN_COSINE_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_VOCABULARY_SIZE_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    modalities: _containers.RepeatedScalarFieldContainer[_types_pb2.Modality]
    dimension: int
    embedding_space: str
    image_size: int
    context_length: int
    logit_scale: float
    logit_bias: float
    prompt_templates: _containers.RepeatedScalarFieldContainer[str]
    license: str
    providers: _containers.RepeatedScalarFieldContainer[str]
    default_match_threshold: float
    default_match_margin: float
    parent_embedding_space: str
    parent_min_cosine: float
    background_vocabulary_size: int
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., modalities: _Optional[_Iterable[_Union[_types_pb2.Modality, str]]] = ..., dimension: _Optional[int] = ..., embedding_space: _Optional[str] = ..., image_size: _Optional[int] = ..., context_length: _Optional[int] = ..., logit_scale: _Optional[float] = ..., logit_bias: _Optional[float] = ..., prompt_templates: _Optional[_Iterable[str]] = ..., license: _Optional[str] = ..., providers: _Optional[_Iterable[str]] = ..., default_match_threshold: _Optional[float] = ..., default_match_margin: _Optional[float] = ..., parent_embedding_space: _Optional[str] = ..., parent_min_cosine: _Optional[float] = ..., background_vocabulary_size: _Optional[int] = ...) -> None: ...

class EmbedRequest(_message.Message):
    __slots__ = ("backbone", "inputs")
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    backbone: str
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    def __init__(self, backbone: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ...) -> None: ...

class EmbedResult(_message.Message):
    __slots__ = ("id", "status", "vector", "truncated", "timings")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: _types_pb2.ItemStatus
    vector: _types_pb2.Vector
    truncated: bool
    timings: _types_pb2.Timings
    def __init__(self, id: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.ItemStatus, _Mapping]] = ..., vector: _Optional[_Union[_types_pb2.Vector, _Mapping]] = ..., truncated: _Optional[bool] = ..., timings: _Optional[_Union[_types_pb2.Timings, _Mapping]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[EmbedResult]
    def __init__(self, results: _Optional[_Iterable[_Union[EmbedResult, _Mapping]]] = ...) -> None: ...

class StreamEmbedConfig(_message.Message):
    __slots__ = ("backbone",)
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    backbone: str
    def __init__(self, backbone: _Optional[str] = ...) -> None: ...

class StreamEmbedRequest(_message.Message):
    __slots__ = ("config", "input")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    config: StreamEmbedConfig
    input: _types_pb2.Input
    def __init__(self, config: _Optional[_Union[StreamEmbedConfig, _Mapping]] = ..., input: _Optional[_Union[_types_pb2.Input, _Mapping]] = ...) -> None: ...

class StreamEmbedResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: EmbedResult
    def __init__(self, result: _Optional[_Union[EmbedResult, _Mapping]] = ...) -> None: ...

class ListBackbonesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBackbonesResponse(_message.Message):
    __slots__ = ("backbones", "next_page_token")
    BACKBONES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    backbones: _containers.RepeatedCompositeFieldContainer[Backbone]
    next_page_token: str
    def __init__(self, backbones: _Optional[_Iterable[_Union[Backbone, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetBackboneRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetBackboneResponse(_message.Message):
    __slots__ = ("backbone",)
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    backbone: Backbone
    def __init__(self, backbone: _Optional[_Union[Backbone, _Mapping]] = ...) -> None: ...
