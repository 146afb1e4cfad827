import datetime

from glimpse.v1 import classification_service_pb2 as _classification_service_pb2
from glimpse.v1 import types_pb2 as _types_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LabelRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_ROLE_UNSPECIFIED: _ClassVar[LabelRole]
    LABEL_ROLE_CLASS: _ClassVar[LabelRole]
    LABEL_ROLE_NEGATIVE: _ClassVar[LabelRole]
    LABEL_ROLE_UNLABELED: _ClassVar[LabelRole]

class CompactionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPACTION_STATE_UNSPECIFIED: _ClassVar[CompactionState]
    COMPACTION_STATE_RUNNING: _ClassVar[CompactionState]
    COMPACTION_STATE_DONE: _ClassVar[CompactionState]
    COMPACTION_STATE_FAILED: _ClassVar[CompactionState]
LABEL_ROLE_UNSPECIFIED: LabelRole
LABEL_ROLE_CLASS: LabelRole
LABEL_ROLE_NEGATIVE: LabelRole
LABEL_ROLE_UNLABELED: LabelRole
COMPACTION_STATE_UNSPECIFIED: CompactionState
COMPACTION_STATE_RUNNING: CompactionState
COMPACTION_STATE_DONE: CompactionState
COMPACTION_STATE_FAILED: CompactionState

class DecisionPolicy(_message.Message):
    __slots__ = ("match_threshold", "match_margin", "false_reject_rate", "false_accept_rate", "coverage")
    MATCH_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MATCH_MARGIN_FIELD_NUMBER: _ClassVar[int]
    FALSE_REJECT_RATE_FIELD_NUMBER: _ClassVar[int]
    FALSE_ACCEPT_RATE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    match_threshold: float
    match_margin: float
    false_reject_rate: float
    false_accept_rate: float
    coverage: float
    def __init__(self, match_threshold: _Optional[float] = ..., match_margin: _Optional[float] = ..., false_reject_rate: _Optional[float] = ..., false_accept_rate: _Optional[float] = ..., coverage: _Optional[float] = ...) -> None: ...

class ReviewPolicy(_message.Message):
    __slots__ = ("keep_unknown", "keep_ambiguous", "match_rate", "keep_inputs", "max_items", "keep_days")
    KEEP_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    KEEP_AMBIGUOUS_FIELD_NUMBER: _ClassVar[int]
    MATCH_RATE_FIELD_NUMBER: _ClassVar[int]
    KEEP_INPUTS_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    KEEP_DAYS_FIELD_NUMBER: _ClassVar[int]
    keep_unknown: bool
    keep_ambiguous: bool
    match_rate: float
    keep_inputs: bool
    max_items: int
    keep_days: int
    def __init__(self, keep_unknown: _Optional[bool] = ..., keep_ambiguous: _Optional[bool] = ..., match_rate: _Optional[float] = ..., keep_inputs: _Optional[bool] = ..., max_items: _Optional[int] = ..., keep_days: _Optional[int] = ...) -> None: ...

class EmbeddingSpacePolicy(_message.Message):
    __slots__ = ("min_space_cosine",)
    MIN_SPACE_COSINE_FIELD_NUMBER: _ClassVar[int]
    min_space_cosine: float
    def __init__(self, min_space_cosine: _Optional[float] = ...) -> None: ...

class Collection(_message.Message):
    __slots__ = ("name", "display_name", "backbone", "embedding_space", "policy", "embedding_space_policy", "label_count", "example_count", "revision", "create_time", "update_time", "names_as_prompts", "label_mode", "pinned_head", "index", "keep_inputs", "review_policy", "content_readable")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SPACE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SPACE_POLICY_FIELD_NUMBER: _ClassVar[int]
    LABEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    NAMES_AS_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    LABEL_MODE_FIELD_NUMBER: _ClassVar[int]
    PINNED_HEAD_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KEEP_INPUTS_FIELD_NUMBER: _ClassVar[int]
    REVIEW_POLICY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_READABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    backbone: str
    embedding_space: str
    policy: DecisionPolicy
    embedding_space_policy: EmbeddingSpacePolicy
    label_count: int
    example_count: int
    revision: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    names_as_prompts: bool
    label_mode: _types_pb2.LabelMode
    pinned_head: _types_pb2.Head
    index: AttachedIndex
    keep_inputs: bool
    review_policy: ReviewPolicy
    content_readable: bool
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., backbone: _Optional[str] = ..., embedding_space: _Optional[str] = ..., policy: _Optional[_Union[DecisionPolicy, _Mapping]] = ..., embedding_space_policy: _Optional[_Union[EmbeddingSpacePolicy, _Mapping]] = ..., label_count: _Optional[int] = ..., example_count: _Optional[int] = ..., revision: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., names_as_prompts: _Optional[bool] = ..., label_mode: _Optional[_Union[_types_pb2.LabelMode, str]] = ..., pinned_head: _Optional[_Union[_types_pb2.Head, str]] = ..., index: _Optional[_Union[AttachedIndex, _Mapping]] = ..., keep_inputs: _Optional[bool] = ..., review_policy: _Optional[_Union[ReviewPolicy, _Mapping]] = ..., content_readable: _Optional[bool] = ...) -> None: ...

class AttachedIndex(_message.Message):
    __slots__ = ("name", "factory", "vector_count", "deleted_count", "unlabeled_count", "searched")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FACTORY_FIELD_NUMBER: _ClassVar[int]
    VECTOR_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNLABELED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEARCHED_FIELD_NUMBER: _ClassVar[int]
    name: str
    factory: str
    vector_count: int
    deleted_count: int
    unlabeled_count: int
    searched: str
    def __init__(self, name: _Optional[str] = ..., factory: _Optional[str] = ..., vector_count: _Optional[int] = ..., deleted_count: _Optional[int] = ..., unlabeled_count: _Optional[int] = ..., searched: _Optional[str] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("name", "display_name", "prompts", "example_count", "create_time", "update_time", "role")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    prompts: _containers.RepeatedScalarFieldContainer[str]
    example_count: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    role: LabelRole
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., prompts: _Optional[_Iterable[str]] = ..., example_count: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., role: _Optional[_Union[LabelRole, str]] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("name", "label_id", "content_digest", "modality", "domain", "metadata", "create_time", "vector", "group")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    name: str
    label_id: str
    content_digest: str
    modality: _types_pb2.Modality
    domain: str
    metadata: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    vector: _types_pb2.Vector
    group: str
    def __init__(self, name: _Optional[str] = ..., label_id: _Optional[str] = ..., content_digest: _Optional[str] = ..., modality: _Optional[_Union[_types_pb2.Modality, str]] = ..., domain: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., vector: _Optional[_Union[_types_pb2.Vector, _Mapping]] = ..., group: _Optional[str] = ...) -> None: ...

class CreateCollectionRequest(_message.Message):
    __slots__ = ("collection_id", "collection")
    COLLECTION_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection_id: str
    collection: Collection
    def __init__(self, collection_id: _Optional[str] = ..., collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class CreateCollectionResponse(_message.Message):
    __slots__ = ("collection", "revision")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    revision: int
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections", "next_page_token")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[Collection]
    next_page_token: str
    def __init__(self, collections: _Optional[_Iterable[_Union[Collection, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateCollectionRequest(_message.Message):
    __slots__ = ("collection", "update_mask")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateCollectionResponse(_message.Message):
    __slots__ = ("collection", "revision")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    revision: int
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteCollectionRequest(_message.Message):
    __slots__ = ("name", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    force: bool
    def __init__(self, name: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class DeleteCollectionResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class CreateLabelRequest(_message.Message):
    __slots__ = ("parent", "label_id", "label")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    parent: str
    label_id: str
    label: Label
    def __init__(self, parent: _Optional[str] = ..., label_id: _Optional[str] = ..., label: _Optional[_Union[Label, _Mapping]] = ...) -> None: ...

class CreateLabelResponse(_message.Message):
    __slots__ = ("label", "revision")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    label: Label
    revision: int
    def __init__(self, label: _Optional[_Union[Label, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class GetLabelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetLabelResponse(_message.Message):
    __slots__ = ("label",)
    LABEL_FIELD_NUMBER: _ClassVar[int]
    label: Label
    def __init__(self, label: _Optional[_Union[Label, _Mapping]] = ...) -> None: ...

class ListLabelsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLabelsResponse(_message.Message):
    __slots__ = ("labels", "next_page_token")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedCompositeFieldContainer[Label]
    next_page_token: str
    def __init__(self, labels: _Optional[_Iterable[_Union[Label, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateLabelRequest(_message.Message):
    __slots__ = ("label", "update_mask")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    label: Label
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, label: _Optional[_Union[Label, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateLabelResponse(_message.Message):
    __slots__ = ("label", "revision")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    label: Label
    revision: int
    def __init__(self, label: _Optional[_Union[Label, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteLabelRequest(_message.Message):
    __slots__ = ("name", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    force: bool
    def __init__(self, name: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class DeleteLabelResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class NewExample(_message.Message):
    __slots__ = ("label_id", "input", "domain", "metadata", "group")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    label_id: str
    input: _types_pb2.Input
    domain: str
    metadata: _containers.ScalarMap[str, str]
    group: str
    def __init__(self, label_id: _Optional[str] = ..., input: _Optional[_Union[_types_pb2.Input, _Mapping]] = ..., domain: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., group: _Optional[str] = ...) -> None: ...

class EnrollExamplesRequest(_message.Message):
    __slots__ = ("parent", "examples", "request_id", "create_labels", "measure_accuracy")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_LABELS_FIELD_NUMBER: _ClassVar[int]
    MEASURE_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    examples: _containers.RepeatedCompositeFieldContainer[NewExample]
    request_id: str
    create_labels: bool
    measure_accuracy: bool
    def __init__(self, parent: _Optional[str] = ..., examples: _Optional[_Iterable[_Union[NewExample, _Mapping]]] = ..., request_id: _Optional[str] = ..., create_labels: _Optional[bool] = ..., measure_accuracy: _Optional[bool] = ...) -> None: ...

class SimilarExample(_message.Message):
    __slots__ = ("example", "label_id", "similarity")
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    example: str
    label_id: str
    similarity: float
    def __init__(self, example: _Optional[str] = ..., label_id: _Optional[str] = ..., similarity: _Optional[float] = ...) -> None: ...

class EnrollResult(_message.Message):
    __slots__ = ("id", "status", "example", "duplicate", "conflicts", "truncated", "timings", "near_duplicates", "outlier", "original_kept")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    CONFLICTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    NEAR_DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_KEPT_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: _types_pb2.ItemStatus
    example: Example
    duplicate: bool
    conflicts: _containers.RepeatedCompositeFieldContainer[SimilarExample]
    truncated: bool
    timings: _types_pb2.Timings
    near_duplicates: _containers.RepeatedCompositeFieldContainer[SimilarExample]
    outlier: bool
    original_kept: bool
    def __init__(self, id: _Optional[str] = ..., status: _Optional[_Union[_types_pb2.ItemStatus, _Mapping]] = ..., example: _Optional[_Union[Example, _Mapping]] = ..., duplicate: _Optional[bool] = ..., conflicts: _Optional[_Iterable[_Union[SimilarExample, _Mapping]]] = ..., truncated: _Optional[bool] = ..., timings: _Optional[_Union[_types_pb2.Timings, _Mapping]] = ..., near_duplicates: _Optional[_Iterable[_Union[SimilarExample, _Mapping]]] = ..., outlier: _Optional[bool] = ..., original_kept: _Optional[bool] = ...) -> None: ...

class EnrollExamplesResponse(_message.Message):
    __slots__ = ("results", "revision", "accuracy_before", "accuracy_after")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_AFTER_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[EnrollResult]
    revision: int
    accuracy_before: float
    accuracy_after: float
    def __init__(self, results: _Optional[_Iterable[_Union[EnrollResult, _Mapping]]] = ..., revision: _Optional[int] = ..., accuracy_before: _Optional[float] = ..., accuracy_after: _Optional[float] = ...) -> None: ...

class GetExampleRequest(_message.Message):
    __slots__ = ("name", "include_vector")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_VECTOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    include_vector: bool
    def __init__(self, name: _Optional[str] = ..., include_vector: _Optional[bool] = ...) -> None: ...

class GetExampleResponse(_message.Message):
    __slots__ = ("example",)
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    example: Example
    def __init__(self, example: _Optional[_Union[Example, _Mapping]] = ...) -> None: ...

class ListExamplesRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "label_id", "include_vector")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_VECTOR_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    label_id: str
    include_vector: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., label_id: _Optional[str] = ..., include_vector: _Optional[bool] = ...) -> None: ...

class ListExamplesResponse(_message.Message):
    __slots__ = ("examples", "next_page_token")
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    examples: _containers.RepeatedCompositeFieldContainer[Example]
    next_page_token: str
    def __init__(self, examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteExampleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteExampleResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class UpdateExamplesRequest(_message.Message):
    __slots__ = ("parent", "names", "example", "update_mask")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    parent: str
    names: _containers.RepeatedScalarFieldContainer[str]
    example: Example
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, parent: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., example: _Optional[_Union[Example, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateExamplesResponse(_message.Message):
    __slots__ = ("revision", "updated_count")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    UPDATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    updated_count: int
    def __init__(self, revision: _Optional[int] = ..., updated_count: _Optional[int] = ...) -> None: ...

class DeleteExamplesRequest(_message.Message):
    __slots__ = ("parent", "names")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    parent: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, parent: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteExamplesResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class GetCollectionReportRequest(_message.Message):
    __slots__ = ("name", "min_revision", "include_left_out")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    min_revision: int
    include_left_out: bool
    def __init__(self, name: _Optional[str] = ..., min_revision: _Optional[int] = ..., include_left_out: _Optional[bool] = ...) -> None: ...

class Proportion(_message.Message):
    __slots__ = ("value", "low", "high", "count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    value: float
    low: float
    high: float
    count: int
    def __init__(self, value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., count: _Optional[int] = ...) -> None: ...

class HeadAccuracy(_message.Message):
    __slots__ = ("head", "accuracy")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    head: _types_pb2.Head
    accuracy: Proportion
    def __init__(self, head: _Optional[_Union[_types_pb2.Head, str]] = ..., accuracy: _Optional[_Union[Proportion, _Mapping]] = ...) -> None: ...

class Confusion(_message.Message):
    __slots__ = ("label_id", "answered_label_id", "count")
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    label_id: str
    answered_label_id: str
    count: int
    def __init__(self, label_id: _Optional[str] = ..., answered_label_id: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class SuspectExample(_message.Message):
    __slots__ = ("example", "label_id", "answered_label_id", "probability", "own_probability", "confident")
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    OWN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENT_FIELD_NUMBER: _ClassVar[int]
    example: str
    label_id: str
    answered_label_id: str
    probability: float
    own_probability: float
    confident: bool
    def __init__(self, example: _Optional[str] = ..., label_id: _Optional[str] = ..., answered_label_id: _Optional[str] = ..., probability: _Optional[float] = ..., own_probability: _Optional[float] = ..., confident: _Optional[bool] = ...) -> None: ...

class LeftOutExample(_message.Message):
    __slots__ = ("example", "label_id", "answered_label_id", "probability", "own_probability", "decision")
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    OWN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    example: str
    label_id: str
    answered_label_id: str
    probability: float
    own_probability: float
    decision: _classification_service_pb2.Decision
    def __init__(self, example: _Optional[str] = ..., label_id: _Optional[str] = ..., answered_label_id: _Optional[str] = ..., probability: _Optional[float] = ..., own_probability: _Optional[float] = ..., decision: _Optional[_Union[_classification_service_pb2.Decision, str]] = ...) -> None: ...

class LabelFigures(_message.Message):
    __slots__ = ("label_id", "example_count", "accuracy", "needs_more")
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    NEEDS_MORE_FIELD_NUMBER: _ClassVar[int]
    label_id: str
    example_count: int
    accuracy: Proportion
    needs_more: bool
    def __init__(self, label_id: _Optional[str] = ..., example_count: _Optional[int] = ..., accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., needs_more: _Optional[bool] = ...) -> None: ...

class AdaptationFigures(_message.Message):
    __slots__ = ("method", "accuracy", "kept")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    method: str
    accuracy: Proportion
    kept: bool
    def __init__(self, method: _Optional[str] = ..., accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., kept: _Optional[bool] = ...) -> None: ...

class GetCollectionReportResponse(_message.Message):
    __slots__ = ("revision", "head", "head_reason", "calibrated", "accuracy", "heads", "zero_shot_accuracy", "negative_transfer", "false_reject", "false_accept", "measured_on_negatives", "confusions", "suspects", "labels", "adaptations", "advice", "grouped_count", "left_out", "cross_fitted")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    HEAD_REASON_FIELD_NUMBER: _ClassVar[int]
    CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    ZERO_SHOT_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    FALSE_REJECT_FIELD_NUMBER: _ClassVar[int]
    FALSE_ACCEPT_FIELD_NUMBER: _ClassVar[int]
    MEASURED_ON_NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    CONFUSIONS_FIELD_NUMBER: _ClassVar[int]
    SUSPECTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ADAPTATIONS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    GROUPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    CROSS_FITTED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    head: _types_pb2.Head
    head_reason: str
    calibrated: bool
    accuracy: Proportion
    heads: _containers.RepeatedCompositeFieldContainer[HeadAccuracy]
    zero_shot_accuracy: Proportion
    negative_transfer: bool
    false_reject: Proportion
    false_accept: Proportion
    measured_on_negatives: bool
    confusions: _containers.RepeatedCompositeFieldContainer[Confusion]
    suspects: _containers.RepeatedCompositeFieldContainer[SuspectExample]
    labels: _containers.RepeatedCompositeFieldContainer[LabelFigures]
    adaptations: _containers.RepeatedCompositeFieldContainer[AdaptationFigures]
    advice: _containers.RepeatedScalarFieldContainer[str]
    grouped_count: int
    left_out: _containers.RepeatedCompositeFieldContainer[LeftOutExample]
    cross_fitted: CrossFittedFigures
    def __init__(self, revision: _Optional[int] = ..., head: _Optional[_Union[_types_pb2.Head, str]] = ..., head_reason: _Optional[str] = ..., calibrated: _Optional[bool] = ..., accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., heads: _Optional[_Iterable[_Union[HeadAccuracy, _Mapping]]] = ..., zero_shot_accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., negative_transfer: _Optional[bool] = ..., false_reject: _Optional[_Union[Proportion, _Mapping]] = ..., false_accept: _Optional[_Union[Proportion, _Mapping]] = ..., measured_on_negatives: _Optional[bool] = ..., confusions: _Optional[_Iterable[_Union[Confusion, _Mapping]]] = ..., suspects: _Optional[_Iterable[_Union[SuspectExample, _Mapping]]] = ..., labels: _Optional[_Iterable[_Union[LabelFigures, _Mapping]]] = ..., adaptations: _Optional[_Iterable[_Union[AdaptationFigures, _Mapping]]] = ..., advice: _Optional[_Iterable[str]] = ..., grouped_count: _Optional[int] = ..., left_out: _Optional[_Iterable[_Union[LeftOutExample, _Mapping]]] = ..., cross_fitted: _Optional[_Union[CrossFittedFigures, _Mapping]] = ...) -> None: ...

class CrossFittedFigures(_message.Message):
    __slots__ = ("parent_backbone", "method", "trained_on_count", "frozen_accuracy", "adapted_accuracy", "gain_error", "frozen_zero_shot_accuracy", "adapted_zero_shot_accuracy", "forced")
    PARENT_BACKBONE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TRAINED_ON_COUNT_FIELD_NUMBER: _ClassVar[int]
    FROZEN_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    ADAPTED_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    GAIN_ERROR_FIELD_NUMBER: _ClassVar[int]
    FROZEN_ZERO_SHOT_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    ADAPTED_ZERO_SHOT_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    parent_backbone: str
    method: str
    trained_on_count: int
    frozen_accuracy: Proportion
    adapted_accuracy: Proportion
    gain_error: float
    frozen_zero_shot_accuracy: Proportion
    adapted_zero_shot_accuracy: Proportion
    forced: bool
    def __init__(self, parent_backbone: _Optional[str] = ..., method: _Optional[str] = ..., trained_on_count: _Optional[int] = ..., frozen_accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., adapted_accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., gain_error: _Optional[float] = ..., frozen_zero_shot_accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., adapted_zero_shot_accuracy: _Optional[_Union[Proportion, _Mapping]] = ..., forced: _Optional[bool] = ...) -> None: ...

class GetDecisionCountsRequest(_message.Message):
    __slots__ = ("name", "days")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    name: str
    days: int
    def __init__(self, name: _Optional[str] = ..., days: _Optional[int] = ...) -> None: ...

class DecisionCounts(_message.Message):
    __slots__ = ("date", "match", "unknown", "ambiguous")
    DATE_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    AMBIGUOUS_FIELD_NUMBER: _ClassVar[int]
    date: str
    match: int
    unknown: int
    ambiguous: int
    def __init__(self, date: _Optional[str] = ..., match: _Optional[int] = ..., unknown: _Optional[int] = ..., ambiguous: _Optional[int] = ...) -> None: ...

class GetDecisionCountsResponse(_message.Message):
    __slots__ = ("days",)
    DAYS_FIELD_NUMBER: _ClassVar[int]
    days: _containers.RepeatedCompositeFieldContainer[DecisionCounts]
    def __init__(self, days: _Optional[_Iterable[_Union[DecisionCounts, _Mapping]]] = ...) -> None: ...

class AttachIndexRequest(_message.Message):
    __slots__ = ("collection", "index")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    collection: str
    index: str
    def __init__(self, collection: _Optional[str] = ..., index: _Optional[str] = ...) -> None: ...

class AttachIndexResponse(_message.Message):
    __slots__ = ("collection", "revision")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    revision: int
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class DetachIndexRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class DetachIndexResponse(_message.Message):
    __slots__ = ("collection", "revision")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    revision: int
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class Compaction(_message.Message):
    __slots__ = ("collection", "state", "revision", "failure", "start_time", "end_time")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    collection: str
    state: CompactionState
    revision: int
    failure: _types_pb2.ItemStatus
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, collection: _Optional[str] = ..., state: _Optional[_Union[CompactionState, str]] = ..., revision: _Optional[int] = ..., failure: _Optional[_Union[_types_pb2.ItemStatus, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StartCompactionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class StartCompactionResponse(_message.Message):
    __slots__ = ("compaction",)
    COMPACTION_FIELD_NUMBER: _ClassVar[int]
    compaction: Compaction
    def __init__(self, compaction: _Optional[_Union[Compaction, _Mapping]] = ...) -> None: ...

class GetCompactionRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class GetCompactionResponse(_message.Message):
    __slots__ = ("compaction",)
    COMPACTION_FIELD_NUMBER: _ClassVar[int]
    compaction: Compaction
    def __init__(self, compaction: _Optional[_Union[Compaction, _Mapping]] = ...) -> None: ...

class Reembedding(_message.Message):
    __slots__ = ("collection", "current", "shadow", "switched", "example_count", "embedded_count", "left_count", "failed_count", "failures", "labels_left_count", "labels_failed_count", "set_aside_count", "start_time")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    SWITCHED_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEFT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LABELS_LEFT_COUNT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_COUNT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    collection: str
    current: ReembeddingSide
    shadow: ReembeddingSide
    switched: bool
    example_count: int
    embedded_count: int
    left_count: int
    failed_count: int
    failures: _containers.RepeatedCompositeFieldContainer[ReembeddingFailure]
    labels_left_count: int
    labels_failed_count: int
    set_aside_count: int
    start_time: _timestamp_pb2.Timestamp
    def __init__(self, collection: _Optional[str] = ..., current: _Optional[_Union[ReembeddingSide, _Mapping]] = ..., shadow: _Optional[_Union[ReembeddingSide, _Mapping]] = ..., switched: _Optional[bool] = ..., example_count: _Optional[int] = ..., embedded_count: _Optional[int] = ..., left_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[ReembeddingFailure, _Mapping]]] = ..., labels_left_count: _Optional[int] = ..., labels_failed_count: _Optional[int] = ..., set_aside_count: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReembeddingSide(_message.Message):
    __slots__ = ("backbone", "embedding_space", "loaded", "figures")
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SPACE_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    backbone: str
    embedding_space: str
    loaded: bool
    figures: GetCollectionReportResponse
    def __init__(self, backbone: _Optional[str] = ..., embedding_space: _Optional[str] = ..., loaded: _Optional[bool] = ..., figures: _Optional[_Union[GetCollectionReportResponse, _Mapping]] = ...) -> None: ...

class ReembeddingFailure(_message.Message):
    __slots__ = ("example", "label_id", "problem")
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    example: str
    label_id: str
    problem: str
    def __init__(self, example: _Optional[str] = ..., label_id: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class StartReembeddingRequest(_message.Message):
    __slots__ = ("collection", "backbone")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    BACKBONE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    backbone: str
    def __init__(self, collection: _Optional[str] = ..., backbone: _Optional[str] = ...) -> None: ...

class StartReembeddingResponse(_message.Message):
    __slots__ = ("reembedding", "revision")
    REEMBEDDING_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    reembedding: Reembedding
    revision: int
    def __init__(self, reembedding: _Optional[_Union[Reembedding, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class GetReembeddingRequest(_message.Message):
    __slots__ = ("collection", "measure")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    measure: bool
    def __init__(self, collection: _Optional[str] = ..., measure: _Optional[bool] = ...) -> None: ...

class GetReembeddingResponse(_message.Message):
    __slots__ = ("reembedding",)
    REEMBEDDING_FIELD_NUMBER: _ClassVar[int]
    reembedding: Reembedding
    def __init__(self, reembedding: _Optional[_Union[Reembedding, _Mapping]] = ...) -> None: ...

class ListReembeddingsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReembeddingsResponse(_message.Message):
    __slots__ = ("reembeddings", "next_page_token")
    REEMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reembeddings: _containers.RepeatedCompositeFieldContainer[Reembedding]
    next_page_token: str
    def __init__(self, reembeddings: _Optional[_Iterable[_Union[Reembedding, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SwitchBackboneRequest(_message.Message):
    __slots__ = ("collection", "embedding_space", "force")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SPACE_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    embedding_space: str
    force: bool
    def __init__(self, collection: _Optional[str] = ..., embedding_space: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class SwitchBackboneResponse(_message.Message):
    __slots__ = ("collection", "revision", "former_policy", "former_embedding_space_policy", "set_aside_count")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FORMER_POLICY_FIELD_NUMBER: _ClassVar[int]
    FORMER_EMBEDDING_SPACE_POLICY_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_COUNT_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    revision: int
    former_policy: DecisionPolicy
    former_embedding_space_policy: EmbeddingSpacePolicy
    set_aside_count: int
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., revision: _Optional[int] = ..., former_policy: _Optional[_Union[DecisionPolicy, _Mapping]] = ..., former_embedding_space_policy: _Optional[_Union[EmbeddingSpacePolicy, _Mapping]] = ..., set_aside_count: _Optional[int] = ...) -> None: ...

class EndReembeddingRequest(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    def __init__(self, collection: _Optional[str] = ...) -> None: ...

class EndReembeddingResponse(_message.Message):
    __slots__ = ("collection", "revision")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    revision: int
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class BatchGetExampleContentRequest(_message.Message):
    __slots__ = ("parent", "names", "thumbnail_size")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    THUMBNAIL_SIZE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    names: _containers.RepeatedScalarFieldContainer[str]
    thumbnail_size: int
    def __init__(self, parent: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., thumbnail_size: _Optional[int] = ...) -> None: ...

class BatchGetExampleContentResponse(_message.Message):
    __slots__ = ("contents",)
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    contents: _containers.RepeatedCompositeFieldContainer[_types_pb2.Content]
    def __init__(self, contents: _Optional[_Iterable[_Union[_types_pb2.Content, _Mapping]]] = ...) -> None: ...
