"""The Python client of a Glimpse server: `Client`, and `AsyncClient` for asyncio.

Needs grpcio, protobuf and numpy alone.
"""

from glimpse.client._answers import (
    Classification,
    ClassifyResult,
    Conflict,
    Decision,
    EmbedResult,
    Enrollment,
    EnrollResult,
    Evidence,
    Head,
    LabelMode,
    LabelScore,
    SearchResult,
    Timings,
)
from glimpse.client._async import AsyncClient
from glimpse.client._errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    GlimpseError,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    ServerError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from glimpse.client._inputs import Input, NewExample
from glimpse.client._policy import Retry
from glimpse.client._resources import Backbone, Collection, Example, Health, Label, Modality, Vector
from glimpse.client._status import ItemError
from glimpse.client._sync import Client

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AsyncClient",
    "Backbone",
    "Cancelled",
    "Classification",
    "ClassifyResult",
    "Client",
    "Collection",
    "Conflict",
    "DataLoss",
    "DeadlineExceeded",
    "Decision",
    "EmbedResult",
    "EnrollResult",
    "Enrollment",
    "Evidence",
    "Example",
    "FailedPrecondition",
    "GlimpseError",
    "Head",
    "Health",
    "Input",
    "Internal",
    "InvalidArgument",
    "ItemError",
    "Label",
    "LabelMode",
    "LabelScore",
    "Modality",
    "NewExample",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Retry",
    "SearchResult",
    "ServerError",
    "Timings",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "Vector",
]
