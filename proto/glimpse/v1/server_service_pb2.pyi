from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_UNSPECIFIED: _ClassVar[Scope]
    SCOPE_READ: _ClassVar[Scope]
    SCOPE_CLASSIFY: _ClassVar[Scope]
    SCOPE_ENROLL: _ClassVar[Scope]
    SCOPE_ADMIN: _ClassVar[Scope]
SCOPE_UNSPECIFIED: Scope
SCOPE_READ: Scope
SCOPE_CLASSIFY: Scope
SCOPE_ENROLL: Scope
SCOPE_ADMIN: Scope

class GetCallerRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CollectionScope(_message.Message):
    __slots__ = ("name", "scope")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    scope: Scope
    def __init__(self, name: _Optional[str] = ..., scope: _Optional[_Union[Scope, str]] = ...) -> None: ...

class GetCallerResponse(_message.Message):
    __slots__ = ("name", "scope", "collections")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    scope: Scope
    collections: _containers.RepeatedCompositeFieldContainer[CollectionScope]
    def __init__(self, name: _Optional[str] = ..., scope: _Optional[_Union[Scope, str]] = ..., collections: _Optional[_Iterable[_Union[CollectionScope, _Mapping]]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Versions(_message.Message):
    __slots__ = ("glimpse", "onnxruntime", "faiss", "python")
    GLIMPSE_FIELD_NUMBER: _ClassVar[int]
    ONNXRUNTIME_FIELD_NUMBER: _ClassVar[int]
    FAISS_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    glimpse: str
    onnxruntime: str
    faiss: str
    python: str
    def __init__(self, glimpse: _Optional[str] = ..., onnxruntime: _Optional[str] = ..., faiss: _Optional[str] = ..., python: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_inputs", "max_image_side", "max_image_pixels", "queue_limit", "max_labels", "max_examples", "stream_window", "queue_seconds", "max_held_bytes")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_INPUTS_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_SIDE_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MAX_LABELS_FIELD_NUMBER: _ClassVar[int]
    MAX_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    STREAM_WINDOW_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_HELD_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_inputs: int
    max_image_side: int
    max_image_pixels: int
    queue_limit: int
    max_labels: int
    max_examples: int
    stream_window: int
    queue_seconds: float
    max_held_bytes: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_inputs: _Optional[int] = ..., max_image_side: _Optional[int] = ..., max_image_pixels: _Optional[int] = ..., queue_limit: _Optional[int] = ..., max_labels: _Optional[int] = ..., max_examples: _Optional[int] = ..., stream_window: _Optional[int] = ..., queue_seconds: _Optional[float] = ..., max_held_bytes: _Optional[int] = ...) -> None: ...

class CallerLimits(_message.Message):
    __slots__ = ("requests_per_second", "inputs_per_second", "bytes_per_second")
    REQUESTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    INPUTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    requests_per_second: float
    inputs_per_second: float
    bytes_per_second: float
    def __init__(self, requests_per_second: _Optional[float] = ..., inputs_per_second: _Optional[float] = ..., bytes_per_second: _Optional[float] = ...) -> None: ...

class BackboneState(_message.Message):
    __slots__ = ("name", "providers", "queue_depth", "max_batch", "mean_batch")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    MEAN_BATCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    providers: _containers.RepeatedScalarFieldContainer[str]
    queue_depth: int
    max_batch: int
    mean_batch: float
    def __init__(self, name: _Optional[str] = ..., providers: _Optional[_Iterable[str]] = ..., queue_depth: _Optional[int] = ..., max_batch: _Optional[int] = ..., mean_batch: _Optional[float] = ...) -> None: ...

class LedgerState(_message.Message):
    __slots__ = ("kind", "revision", "head", "seconds_since_reached")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SECONDS_SINCE_REACHED_FIELD_NUMBER: _ClassVar[int]
    kind: str
    revision: int
    head: int
    seconds_since_reached: float
    def __init__(self, kind: _Optional[str] = ..., revision: _Optional[int] = ..., head: _Optional[int] = ..., seconds_since_reached: _Optional[float] = ...) -> None: ...

class CallFigures(_message.Message):
    __slots__ = ("rpc", "count", "failed", "per_second", "p50_ms", "p99_ms")
    RPC_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    P50_MS_FIELD_NUMBER: _ClassVar[int]
    P99_MS_FIELD_NUMBER: _ClassVar[int]
    rpc: str
    count: int
    failed: int
    per_second: float
    p50_ms: float
    p99_ms: float
    def __init__(self, rpc: _Optional[str] = ..., count: _Optional[int] = ..., failed: _Optional[int] = ..., per_second: _Optional[float] = ..., p50_ms: _Optional[float] = ..., p99_ms: _Optional[float] = ...) -> None: ...

class StageFigures(_message.Message):
    __slots__ = ("stage", "p50_ms", "p99_ms")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    P50_MS_FIELD_NUMBER: _ClassVar[int]
    P99_MS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    p50_ms: float
    p99_ms: float
    def __init__(self, stage: _Optional[str] = ..., p50_ms: _Optional[float] = ..., p99_ms: _Optional[float] = ...) -> None: ...

class DecisionFigures(_message.Message):
    __slots__ = ("match", "unknown", "ambiguous")
    MATCH_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    AMBIGUOUS_FIELD_NUMBER: _ClassVar[int]
    match: int
    unknown: int
    ambiguous: int
    def __init__(self, match: _Optional[int] = ..., unknown: _Optional[int] = ..., ambiguous: _Optional[int] = ...) -> None: ...

class CollectionFigures(_message.Message):
    __slots__ = ("name", "decisions", "drift")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    name: str
    decisions: DecisionFigures
    drift: float
    def __init__(self, name: _Optional[str] = ..., decisions: _Optional[_Union[DecisionFigures, _Mapping]] = ..., drift: _Optional[float] = ...) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("versions", "limits", "providers", "backbones", "collection_count", "ledger", "uptime_seconds", "ready", "draining", "memory_bytes", "in_flight", "calls", "decisions", "caller_limits", "stages", "collections")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    BACKBONES_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    CALLER_LIMITS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    versions: Versions
    limits: Limits
    providers: _containers.RepeatedScalarFieldContainer[str]
    backbones: _containers.RepeatedCompositeFieldContainer[BackboneState]
    collection_count: int
    ledger: LedgerState
    uptime_seconds: float
    ready: bool
    draining: bool
    memory_bytes: int
    in_flight: int
    calls: _containers.RepeatedCompositeFieldContainer[CallFigures]
    decisions: DecisionFigures
    caller_limits: CallerLimits
    stages: _containers.RepeatedCompositeFieldContainer[StageFigures]
    collections: _containers.RepeatedCompositeFieldContainer[CollectionFigures]
    def __init__(self, versions: _Optional[_Union[Versions, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., providers: _Optional[_Iterable[str]] = ..., backbones: _Optional[_Iterable[_Union[BackboneState, _Mapping]]] = ..., collection_count: _Optional[int] = ..., ledger: _Optional[_Union[LedgerState, _Mapping]] = ..., uptime_seconds: _Optional[float] = ..., ready: _Optional[bool] = ..., draining: _Optional[bool] = ..., memory_bytes: _Optional[int] = ..., in_flight: _Optional[int] = ..., calls: _Optional[_Iterable[_Union[CallFigures, _Mapping]]] = ..., decisions: _Optional[_Union[DecisionFigures, _Mapping]] = ..., caller_limits: _Optional[_Union[CallerLimits, _Mapping]] = ..., stages: _Optional[_Iterable[_Union[StageFigures, _Mapping]]] = ..., collections: _Optional[_Iterable[_Union[CollectionFigures, _Mapping]]] = ...) -> None: ...
