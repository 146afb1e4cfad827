"""The Python client of a Glimpse server: `Client`, and `AsyncClient` for asyncio.

It needs only grpcio, protobuf and NumPy.
"""

from glimpse.client._async.client import AsyncClient
from glimpse.client._sync.client import Client
from glimpse.client.requests._content import Image, Text
from glimpse.client.requests._enums import CompactionState, Decision, Head, LabelMode, LabelRole, Modality, Scope
from glimpse.client.requests._inputs import Input, NewExample
from glimpse.client.requests._policies import DecisionPolicy, EmbeddingSpacePolicy, ReviewPolicy
from glimpse.client.results._caller import Caller
from glimpse.client.results._classification import Classification, ClassifyResult
from glimpse.client.results._collection_report import (
    AdaptationFigures,
    CollectionReport,
    Confusion,
    CrossFittedFigures,
    Estimate,
    HeadAccuracy,
    LabelFigures,
    LeftOutExample,
    SuspectExample,
)
from glimpse.client.results._compaction import Compaction
from glimpse.client.results._decision_counts import DecisionCounts
from glimpse.client.results._enrollment import Enrollment, EnrollmentFailed, EnrollResult, ExampleUpdate
from glimpse.client.results._reembedding import Reembedding, ReembeddingFailure, ReembeddingSide, SwitchResult
from glimpse.client.results._resolution import ReviewItemResult, ReviewResolution, ReviewUndo
from glimpse.client.results._resources import AttachedIndex, Backbone, Collection, Example, Health, Label, Vector
from glimpse.client.results._results import (
    EmbedResult,
    Evidence,
    LabelScore,
    SearchExamplesResult,
    SimilarExample,
    Timings,
)
from glimpse.client.results._review import (
    KeptInput,
    ProposedName,
    ReviewGroup,
    ReviewGroupChanged,
    ReviewItem,
    ReviewPurge,
    ReviewSummary,
)
from glimpse.client.results._server_info import BackboneState, CallFigures, CollectionFigures, ServerInfo, StageFigures
from glimpse.client.transport._errors import (
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
from glimpse.client.transport._retry import Retry
from glimpse.client.transport._status import ItemError

__all__ = [
    "Aborted",
    "AdaptationFigures",
    "AlreadyExists",
    "AsyncClient",
    "AttachedIndex",
    "Backbone",
    "BackboneState",
    "CallFigures",
    "Caller",
    "Cancelled",
    "Classification",
    "ClassifyResult",
    "Client",
    "Collection",
    "CollectionFigures",
    "CollectionReport",
    "Compaction",
    "CompactionState",
    "Confusion",
    "CrossFittedFigures",
    "DataLoss",
    "DeadlineExceeded",
    "Decision",
    "DecisionCounts",
    "DecisionPolicy",
    "EmbedResult",
    "EmbeddingSpacePolicy",
    "EnrollResult",
    "Enrollment",
    "EnrollmentFailed",
    "Estimate",
    "Evidence",
    "Example",
    "ExampleUpdate",
    "FailedPrecondition",
    "GlimpseError",
    "Head",
    "HeadAccuracy",
    "Health",
    "Image",
    "Input",
    "Internal",
    "InvalidArgument",
    "ItemError",
    "KeptInput",
    "Label",
    "LabelFigures",
    "LabelMode",
    "LabelRole",
    "LabelScore",
    "LeftOutExample",
    "Modality",
    "NewExample",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ProposedName",
    "Reembedding",
    "ReembeddingFailure",
    "ReembeddingSide",
    "ResourceExhausted",
    "Retry",
    "ReviewGroup",
    "ReviewGroupChanged",
    "ReviewItem",
    "ReviewItemResult",
    "ReviewPolicy",
    "ReviewPurge",
    "ReviewResolution",
    "ReviewSummary",
    "ReviewUndo",
    "Scope",
    "SearchExamplesResult",
    "ServerError",
    "ServerInfo",
    "SimilarExample",
    "StageFigures",
    "SuspectExample",
    "SwitchResult",
    "Text",
    "Timings",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "Vector",
]
