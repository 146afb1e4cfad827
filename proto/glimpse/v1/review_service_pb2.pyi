import datetime

from glimpse.v1 import classification_service_pb2 as _classification_service_pb2
from glimpse.v1 import types_pb2 as _types_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewItem(_message.Message):
    __slots__ = ("name", "decision", "label_id", "probability", "uncertainty", "modality", "content_digest", "content_bytes", "count", "embedding_space", "caller", "domain", "create_time", "last_time", "expire_time", "with_previous")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    UNCERTAINTY_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SPACE_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    WITH_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    name: str
    decision: _classification_service_pb2.Decision
    label_id: str
    probability: float
    uncertainty: float
    modality: _types_pb2.Modality
    content_digest: str
    content_bytes: int
    count: int
    embedding_space: str
    caller: str
    domain: str
    create_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    with_previous: bool
    def __init__(self, name: _Optional[str] = ..., decision: _Optional[_Union[_classification_service_pb2.Decision, str]] = ..., label_id: _Optional[str] = ..., probability: _Optional[float] = ..., uncertainty: _Optional[float] = ..., modality: _Optional[_Union[_types_pb2.Modality, str]] = ..., content_digest: _Optional[str] = ..., content_bytes: _Optional[int] = ..., count: _Optional[int] = ..., embedding_space: _Optional[str] = ..., caller: _Optional[str] = ..., domain: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., with_previous: _Optional[bool] = ...) -> None: ...

class ReviewGroup(_message.Message):
    __slots__ = ("etag", "items", "size", "query_count", "spread", "proposed_label_id", "probability", "names")
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    QUERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    etag: str
    items: _containers.RepeatedScalarFieldContainer[str]
    size: int
    query_count: int
    spread: float
    proposed_label_id: str
    probability: float
    names: _containers.RepeatedCompositeFieldContainer[ProposedName]
    def __init__(self, etag: _Optional[str] = ..., items: _Optional[_Iterable[str]] = ..., size: _Optional[int] = ..., query_count: _Optional[int] = ..., spread: _Optional[float] = ..., proposed_label_id: _Optional[str] = ..., probability: _Optional[float] = ..., names: _Optional[_Iterable[_Union[ProposedName, _Mapping]]] = ...) -> None: ...

class ProposedName(_message.Message):
    __slots__ = ("name", "cosine")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    name: str
    cosine: float
    def __init__(self, name: _Optional[str] = ..., cosine: _Optional[float] = ...) -> None: ...

class ListReviewItemsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "decisions", "pairs")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    decisions: _containers.RepeatedScalarFieldContainer[_classification_service_pb2.Decision]
    pairs: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., decisions: _Optional[_Iterable[_Union[_classification_service_pb2.Decision, str]]] = ..., pairs: _Optional[bool] = ...) -> None: ...

class ListReviewItemsResponse(_message.Message):
    __slots__ = ("items", "next_page_token", "total_count")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ReviewItem]
    next_page_token: str
    total_count: int
    def __init__(self, items: _Optional[_Iterable[_Union[ReviewItem, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ...) -> None: ...

class ListReviewGroupsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "vocabulary")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    vocabulary: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., vocabulary: _Optional[_Iterable[str]] = ...) -> None: ...

class ListReviewGroupsResponse(_message.Message):
    __slots__ = ("groups", "next_page_token", "compute_time", "ungrouped_count")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_TIME_FIELD_NUMBER: _ClassVar[int]
    UNGROUPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[ReviewGroup]
    next_page_token: str
    compute_time: _timestamp_pb2.Timestamp
    ungrouped_count: int
    def __init__(self, groups: _Optional[_Iterable[_Union[ReviewGroup, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., compute_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ungrouped_count: _Optional[int] = ...) -> None: ...

class ResolveReviewItemsRequest(_message.Message):
    __slots__ = ("parent", "names", "group_etag", "label_id", "new_label_id", "negative", "skip", "request_id", "measure")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    GROUP_ETAG_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    names: _containers.RepeatedScalarFieldContainer[str]
    group_etag: str
    label_id: str
    new_label_id: str
    negative: bool
    skip: bool
    request_id: str
    measure: bool
    def __init__(self, parent: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., group_etag: _Optional[str] = ..., label_id: _Optional[str] = ..., new_label_id: _Optional[str] = ..., negative: _Optional[bool] = ..., skip: _Optional[bool] = ..., request_id: _Optional[str] = ..., measure: _Optional[bool] = ...) -> None: ...

class ResolveReviewItemsResponse(_message.Message):
    __slots__ = ("resolution", "results", "revision", "accuracy_before", "accuracy_after", "unknown_rate_before", "unknown_rate_after")
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_AFTER_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_RATE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_RATE_AFTER_FIELD_NUMBER: _ClassVar[int]
    resolution: str
    results: _containers.RepeatedCompositeFieldContainer[ReviewItemResult]
    revision: int
    accuracy_before: float
    accuracy_after: float
    unknown_rate_before: float
    unknown_rate_after: float
    def __init__(self, resolution: _Optional[str] = ..., results: _Optional[_Iterable[_Union[ReviewItemResult, _Mapping]]] = ..., revision: _Optional[int] = ..., accuracy_before: _Optional[float] = ..., accuracy_after: _Optional[float] = ..., unknown_rate_before: _Optional[float] = ..., unknown_rate_after: _Optional[float] = ...) -> None: ...

class ReviewItemResult(_message.Message):
    __slots__ = ("name", "status", "example", "resolved_by", "resolved_label_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_BY_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: _types_pb2.ItemStatus
    example: str
    resolved_by: str
    resolved_label_id: str
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.ItemStatus, _Mapping]] = ..., example: _Optional[str] = ..., resolved_by: _Optional[str] = ..., resolved_label_id: _Optional[str] = ...) -> None: ...

class UndoReviewRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UndoReviewResponse(_message.Message):
    __slots__ = ("item_count", "example_count", "revision")
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    item_count: int
    example_count: int
    revision: int
    def __init__(self, item_count: _Optional[int] = ..., example_count: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class GetReviewContentRequest(_message.Message):
    __slots__ = ("parent", "names", "thumbnail_size")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    THUMBNAIL_SIZE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    names: _containers.RepeatedScalarFieldContainer[str]
    thumbnail_size: int
    def __init__(self, parent: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., thumbnail_size: _Optional[int] = ...) -> None: ...

class GetReviewContentResponse(_message.Message):
    __slots__ = ("contents",)
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    contents: _containers.RepeatedCompositeFieldContainer[_types_pb2.Content]
    def __init__(self, contents: _Optional[_Iterable[_Union[_types_pb2.Content, _Mapping]]] = ...) -> None: ...

class GetReviewSummaryRequest(_message.Message):
    __slots__ = ("name", "since")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetReviewSummaryResponse(_message.Message):
    __slots__ = ("waiting", "resolved_count", "dropped_count", "unknown_rate", "unknown_rate_now", "accuracy")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_RATE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_RATE_NOW_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    waiting: _containers.RepeatedCompositeFieldContainer[DecisionCount]
    resolved_count: int
    dropped_count: int
    unknown_rate: Rate
    unknown_rate_now: Rate
    accuracy: Rate
    def __init__(self, waiting: _Optional[_Iterable[_Union[DecisionCount, _Mapping]]] = ..., resolved_count: _Optional[int] = ..., dropped_count: _Optional[int] = ..., unknown_rate: _Optional[_Union[Rate, _Mapping]] = ..., unknown_rate_now: _Optional[_Union[Rate, _Mapping]] = ..., accuracy: _Optional[_Union[Rate, _Mapping]] = ...) -> None: ...

class DecisionCount(_message.Message):
    __slots__ = ("decision", "count")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    decision: _classification_service_pb2.Decision
    count: int
    def __init__(self, decision: _Optional[_Union[_classification_service_pb2.Decision, str]] = ..., count: _Optional[int] = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("value", "low", "high", "sample_size")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    sample_size: int
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., sample_size: _Optional[int] = ...) -> None: ...

class PurgeReviewRequest(_message.Message):
    __slots__ = ("name", "stop_keeping")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STOP_KEEPING_FIELD_NUMBER: _ClassVar[int]
    name: str
    stop_keeping: bool
    def __init__(self, name: _Optional[str] = ..., stop_keeping: _Optional[bool] = ...) -> None: ...

class PurgeReviewResponse(_message.Message):
    __slots__ = ("item_count", "sample_count")
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    item_count: int
    sample_count: int
    def __init__(self, item_count: _Optional[int] = ..., sample_count: _Optional[int] = ...) -> None: ...
