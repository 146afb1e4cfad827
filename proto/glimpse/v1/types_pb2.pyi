from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Modality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODALITY_UNSPECIFIED: _ClassVar[Modality]
    MODALITY_IMAGE: _ClassVar[Modality]
    MODALITY_TEXT: _ClassVar[Modality]
    MODALITY_VECTOR: _ClassVar[Modality]

class Head(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEAD_UNSPECIFIED: _ClassVar[Head]
    HEAD_CLASS_MEAN: _ClassVar[Head]
    HEAD_PROMPTS: _ClassVar[Head]
    HEAD_CLASS_MEAN_AND_PROMPTS: _ClassVar[Head]
    HEAD_LDA: _ClassVar[Head]
    HEAD_LDA_AND_PROMPTS: _ClassVar[Head]
    HEAD_KERNEL_RIDGE: _ClassVar[Head]
    HEAD_PROJECTED_RIDGE: _ClassVar[Head]
    HEAD_NEIGHBORS: _ClassVar[Head]

class LabelMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_MODE_UNSPECIFIED: _ClassVar[LabelMode]
    LABEL_MODE_EXCLUSIVE: _ClassVar[LabelMode]
    LABEL_MODE_INDEPENDENT: _ClassVar[LabelMode]
MODALITY_UNSPECIFIED: Modality
MODALITY_IMAGE: Modality
MODALITY_TEXT: Modality
MODALITY_VECTOR: Modality
HEAD_UNSPECIFIED: Head
HEAD_CLASS_MEAN: Head
HEAD_PROMPTS: Head
HEAD_CLASS_MEAN_AND_PROMPTS: Head
HEAD_LDA: Head
HEAD_LDA_AND_PROMPTS: Head
HEAD_KERNEL_RIDGE: Head
HEAD_PROJECTED_RIDGE: Head
HEAD_NEIGHBORS: Head
LABEL_MODE_UNSPECIFIED: LabelMode
LABEL_MODE_EXCLUSIVE: LabelMode
LABEL_MODE_INDEPENDENT: LabelMode

class Vector(_message.Message):
    __slots__ = ("data", "embedding_space")
    DATA_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_SPACE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    embedding_space: str
    def __init__(self, data: _Optional[bytes] = ..., embedding_space: _Optional[str] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    width: float
    height: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., width: _Optional[float] = ..., height: _Optional[float] = ...) -> None: ...

class Views(_message.Message):
    __slots__ = ("inputs",)
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    def __init__(self, inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("id", "image", "text", "vector", "views", "region")
    ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    id: str
    image: bytes
    text: str
    vector: Vector
    views: Views
    region: Region
    def __init__(self, id: _Optional[str] = ..., image: _Optional[bytes] = ..., text: _Optional[str] = ..., vector: _Optional[_Union[Vector, _Mapping]] = ..., views: _Optional[_Union[Views, _Mapping]] = ..., region: _Optional[_Union[Region, _Mapping]] = ...) -> None: ...

class ItemStatus(_message.Message):
    __slots__ = ("code", "reason", "field", "message", "retry_delay_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    field: str
    message: str
    retry_delay_ms: int
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., field: _Optional[str] = ..., message: _Optional[str] = ..., retry_delay_ms: _Optional[int] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("decode_ms", "queue_ms", "encode_ms", "head_ms", "commit_ms", "total_ms", "batch_size")
    DECODE_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_MS_FIELD_NUMBER: _ClassVar[int]
    ENCODE_MS_FIELD_NUMBER: _ClassVar[int]
    HEAD_MS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_MS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    decode_ms: float
    queue_ms: float
    encode_ms: float
    head_ms: float
    commit_ms: float
    total_ms: float
    batch_size: int
    def __init__(self, decode_ms: _Optional[float] = ..., queue_ms: _Optional[float] = ..., encode_ms: _Optional[float] = ..., head_ms: _Optional[float] = ..., commit_ms: _Optional[float] = ..., total_ms: _Optional[float] = ..., batch_size: _Optional[int] = ...) -> None: ...

class Content(_message.Message):
    __slots__ = ("name", "status", "image", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: ItemStatus
    image: bytes
    text: str
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[ItemStatus, _Mapping]] = ..., image: _Optional[bytes] = ..., text: _Optional[str] = ...) -> None: ...
