from glimpse.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_MATCH: _ClassVar[Decision]
    DECISION_UNKNOWN: _ClassVar[Decision]
    DECISION_AMBIGUOUS: _ClassVar[Decision]
DECISION_UNSPECIFIED: Decision
DECISION_MATCH: Decision
DECISION_UNKNOWN: Decision
DECISION_AMBIGUOUS: Decision

class LabelScore(_message.Message):
    __slots__ = ("label_id", "score", "probability")
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label_id: str
    score: float
    probability: float
    def __init__(self, label_id: _Optional[str] = ..., score: _Optional[float] = ..., probability: _Optional[float] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("example", "label_id", "similarity")
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    example: str
    label_id: str
    similarity: float
    def __init__(self, example: _Optional[str] = ..., label_id: _Optional[str] = ..., similarity: _Optional[float] = ...) -> None: ...

class Classification(_message.Message):
    __slots__ = ("collection", "decision", "label_id", "probability", "margin", "labels", "evidence", "head", "head_reason", "calibrated", "revision", "decision_reason", "p_value", "set_size", "similarity", "background_probability", "subtree", "views", "dissent", "expected_cost")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    HEAD_REASON_FIELD_NUMBER: _ClassVar[int]
    CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DECISION_REASON_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    SET_SIZE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SUBTREE_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    DISSENT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_COST_FIELD_NUMBER: _ClassVar[int]
    collection: str
    decision: Decision
    label_id: str
    probability: float
    margin: float
    labels: _containers.RepeatedCompositeFieldContainer[LabelScore]
    evidence: _containers.RepeatedCompositeFieldContainer[Evidence]
    head: _types_pb2.Head
    head_reason: str
    calibrated: bool
    revision: int
    decision_reason: str
    p_value: float
    set_size: int
    similarity: float
    background_probability: float
    subtree: Subtree
    views: _containers.RepeatedCompositeFieldContainer[ViewAnswer]
    dissent: float
    expected_cost: float
    def __init__(self, collection: _Optional[str] = ..., decision: _Optional[_Union[Decision, str]] = ..., label_id: _Optional[str] = ..., probability: _Optional[float] = ..., margin: _Optional[float] = ..., labels: _Optional[_Iterable[_Union[LabelScore, _Mapping]]] = ..., evidence: _Optional[_Iterable[_Union[Evidence, _Mapping]]] = ..., head: _Optional[_Union[_types_pb2.Head, str]] = ..., head_reason: _Optional[str] = ..., calibrated: _Optional[bool] = ..., revision: _Optional[int] = ..., decision_reason: _Optional[str] = ..., p_value: _Optional[float] = ..., set_size: _Optional[int] = ..., similarity: _Optional[float] = ..., background_probability: _Optional[float] = ..., subtree: _Optional[_Union[Subtree, _Mapping]] = ..., views: _Optional[_Iterable[_Union[ViewAnswer, _Mapping]]] = ..., dissent: _Optional[float] = ..., expected_cost: _Optional[float] = ...) -> None: ...

class Subtree(_message.Message):
    __slots__ = ("label_id", "path", "probability", "label_ids", "label_count")
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LABEL_IDS_FIELD_NUMBER: _ClassVar[int]
    LABEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    label_id: str
    path: str
    probability: float
    label_ids: _containers.RepeatedScalarFieldContainer[str]
    label_count: int
    def __init__(self, label_id: _Optional[str] = ..., path: _Optional[str] = ..., probability: _Optional[float] = ..., label_ids: _Optional[_Iterable[str]] = ..., label_count: _Optional[int] = ...) -> None: ...

class ViewAnswer(_message.Message):
    __slots__ = ("decision", "label_id", "probability", "similarity")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    label_id: str
    probability: float
    similarity: float
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., label_id: _Optional[str] = ..., probability: _Optional[float] = ..., similarity: _Optional[float] = ...) -> None: ...

class ClassifyOptions(_message.Message):
    __slots__ = ("top_k", "evidence", "min_revision", "domain", "keep")
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    top_k: int
    evidence: int
    min_revision: int
    domain: str
    keep: bool
    def __init__(self, top_k: _Optional[int] = ..., evidence: _Optional[int] = ..., min_revision: _Optional[int] = ..., domain: _Optional[str] = ..., keep: _Optional[bool] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("collections", "inputs", "options")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedScalarFieldContainer[str]
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    options: ClassifyOptions
    def __init__(self, collections: _Optional[_Iterable[str]] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., options: _Optional[_Union[ClassifyOptions, _Mapping]] = ...) -> None: ...

class ClassifyResult(_message.Message):
    __slots__ = ("id", "status", "classifications", "truncated", "timings")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CLASSIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: _types_pb2.ItemStatus
    classifications: _containers.RepeatedCompositeFieldContainer[Classification]
    truncated: bool
    timings: _types_pb2.Timings
    def __init__(self, id: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.ItemStatus, _Mapping]] = ..., classifications: _Optional[_Iterable[_Union[Classification, _Mapping]]] = ..., truncated: _Optional[bool] = ..., timings: _Optional[_Union[_types_pb2.Timings, _Mapping]] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ClassifyResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ClassifyResult, _Mapping]]] = ...) -> None: ...

class StreamClassifyConfig(_message.Message):
    __slots__ = ("collections", "options")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedScalarFieldContainer[str]
    options: ClassifyOptions
    def __init__(self, collections: _Optional[_Iterable[str]] = ..., options: _Optional[_Union[ClassifyOptions, _Mapping]] = ...) -> None: ...

class StreamClassifyRequest(_message.Message):
    __slots__ = ("config", "input")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    config: StreamClassifyConfig
    input: _types_pb2.Input
    def __init__(self, config: _Optional[_Union[StreamClassifyConfig, _Mapping]] = ..., input: _Optional[_Union[_types_pb2.Input, _Mapping]] = ...) -> None: ...

class StreamClassifyResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: ClassifyResult
    def __init__(self, result: _Optional[_Union[ClassifyResult, _Mapping]] = ...) -> None: ...

class PromptedLabel(_message.Message):
    __slots__ = ("label_id", "prompts")
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    label_id: str
    prompts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, label_id: _Optional[str] = ..., prompts: _Optional[_Iterable[str]] = ...) -> None: ...

class ZeroShotBackground(_message.Message):
    __slots__ = ("vocabulary_disabled", "texts")
    VOCABULARY_DISABLED_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    vocabulary_disabled: bool
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, vocabulary_disabled: _Optional[bool] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class ClassifyZeroShotRequest(_message.Message):
    __slots__ = ("backbone", "labels", "inputs", "mode", "use_templates", "top_k", "background")
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    USE_TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    backbone: str
    labels: _containers.RepeatedCompositeFieldContainer[PromptedLabel]
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    mode: _types_pb2.LabelMode
    use_templates: bool
    top_k: int
    background: ZeroShotBackground
    def __init__(self, backbone: _Optional[str] = ..., labels: _Optional[_Iterable[_Union[PromptedLabel, _Mapping]]] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., mode: _Optional[_Union[_types_pb2.LabelMode, str]] = ..., use_templates: _Optional[bool] = ..., top_k: _Optional[int] = ..., background: _Optional[_Union[ZeroShotBackground, _Mapping]] = ...) -> None: ...

class ClassifyZeroShotResult(_message.Message):
    __slots__ = ("id", "status", "classification", "truncated", "timings")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: _types_pb2.ItemStatus
    classification: Classification
    truncated: bool
    timings: _types_pb2.Timings
    def __init__(self, id: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.ItemStatus, _Mapping]] = ..., classification: _Optional[_Union[Classification, _Mapping]] = ..., truncated: _Optional[bool] = ..., timings: _Optional[_Union[_types_pb2.Timings, _Mapping]] = ...) -> None: ...

class ClassifyZeroShotResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ClassifyZeroShotResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ClassifyZeroShotResult, _Mapping]]] = ...) -> None: ...

class SearchExamplesRequest(_message.Message):
    __slots__ = ("collection", "inputs", "top_k", "label_ids", "min_revision", "domains")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    LABEL_IDS_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    inputs: _containers.RepeatedCompositeFieldContainer[_types_pb2.Input]
    top_k: int
    label_ids: _containers.RepeatedScalarFieldContainer[str]
    min_revision: int
    domains: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[_types_pb2.Input, _Mapping]]] = ..., top_k: _Optional[int] = ..., label_ids: _Optional[_Iterable[str]] = ..., min_revision: _Optional[int] = ..., domains: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchExamplesResult(_message.Message):
    __slots__ = ("id", "status", "neighbors", "truncated", "timings")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NEIGHBORS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: _types_pb2.ItemStatus
    neighbors: _containers.RepeatedCompositeFieldContainer[Evidence]
    truncated: bool
    timings: _types_pb2.Timings
    def __init__(self, id: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.ItemStatus, _Mapping]] = ..., neighbors: _Optional[_Iterable[_Union[Evidence, _Mapping]]] = ..., truncated: _Optional[bool] = ..., timings: _Optional[_Union[_types_pb2.Timings, _Mapping]] = ...) -> None: ...

class SearchExamplesResponse(_message.Message):
    __slots__ = ("results", "revision")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SearchExamplesResult]
    revision: int
    def __init__(self, results: _Optional[_Iterable[_Union[SearchExamplesResult, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...
