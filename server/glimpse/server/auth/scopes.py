"""Permissions: scopes, the collections that they apply to, and the scope that each rpc needs."""

import re
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase

#: A collection's id, with `*` for any characters.
PATTERN = re.compile(r"[a-z0-9*-]{1,63}")
EVERY = "*"


class Scope(IntEnum):
    """A permission. Each scope includes the ones before it."""

    READ = 1
    CLASSIFY = 2
    ENROLL = 3
    ADMIN = 4

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, name: str) -> "Scope | None":
        """Returns the scope with a lower-case name, or None."""
        return next((scope for scope in cls if str(scope) == name), None)


@dataclass(frozen=True, slots=True)
class Grant:
    """A scope for the collections whose ids match a pattern."""

    scope: Scope
    collections: str = EVERY

    def covers(self, scope: Scope, collection_id: str) -> bool:
        """Returns whether the grant includes a scope for a collection."""
        if scope > self.scope:
            return False
        return self.collections == EVERY or fnmatchcase(collection_id, self.collections)


@dataclass(frozen=True, slots=True)
class Need:
    """The scope that an rpc needs. With `everywhere`, a grant must cover all collections, present and future."""

    scope: Scope
    everywhere: bool = False


_OF_SERVICE: dict[str, dict[str, Need]] = {
    "glimpse.v1.ServerService": {"GetServerInfo": Need(Scope.READ), "GetCaller": Need(Scope.READ)},
    "glimpse.v1.EmbeddingService": {
        "ListBackbones": Need(Scope.READ),
        "GetBackbone": Need(Scope.READ),
        "Embed": Need(Scope.CLASSIFY),
        "StreamEmbed": Need(Scope.CLASSIFY),
    },
    "glimpse.v1.ClassificationService": {
        "Classify": Need(Scope.CLASSIFY),
        "StreamClassify": Need(Scope.CLASSIFY),
        "ClassifyZeroShot": Need(Scope.CLASSIFY),
        "SearchExamples": Need(Scope.CLASSIFY),
    },
    "glimpse.v1.CollectionService": {
        "GetCollection": Need(Scope.READ),
        "ListCollections": Need(Scope.READ),
        "GetCollectionReport": Need(Scope.READ),
        "GetDecisionCounts": Need(Scope.READ),
        "GetLabel": Need(Scope.READ),
        "ListLabels": Need(Scope.READ),
        "GetExample": Need(Scope.READ),
        "ListExamples": Need(Scope.READ),
        "BatchGetExampleContent": Need(Scope.ENROLL),
        "EnrollExamples": Need(Scope.ENROLL),
        "DeleteExample": Need(Scope.ENROLL),
        "UpdateExamples": Need(Scope.ENROLL),
        "DeleteExamples": Need(Scope.ENROLL),
        "CreateLabel": Need(Scope.ENROLL),
        "UpdateLabel": Need(Scope.ENROLL),
        "DeleteLabel": Need(Scope.ENROLL),
        "MergeLabels": Need(Scope.ENROLL),
        "CreateCollection": Need(Scope.ADMIN),
        "UpdateCollection": Need(Scope.ADMIN),
        "DeleteCollection": Need(Scope.ADMIN),
        "DetachIndex": Need(Scope.ADMIN),
        "StartCompaction": Need(Scope.ADMIN),
        "GetCompaction": Need(Scope.READ),
        "GetReembedding": Need(Scope.READ),
        "ListReembeddings": Need(Scope.READ),
        "StartReembedding": Need(Scope.ADMIN),
        "SwitchBackbone": Need(Scope.ADMIN),
        "EndReembedding": Need(Scope.ADMIN),
        # It can name every index in the server's folder, also those of other collections.
        "AttachIndex": Need(Scope.ADMIN, everywhere=True),
    },
    "glimpse.v1.ReviewService": {
        "ListReviewItems": Need(Scope.ENROLL),
        "ListReviewGroups": Need(Scope.ENROLL),
        "ResolveReviewItems": Need(Scope.ENROLL),
        "UndoReview": Need(Scope.ENROLL),
        "GetReviewContent": Need(Scope.ENROLL),
        "GetReviewSummary": Need(Scope.ENROLL),
        "PurgeReview": Need(Scope.ADMIN),
    },
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": Need(Scope.READ)},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": Need(Scope.READ)},
}
#: The need of each rpc, by its path in gRPC.
NEEDS: dict[str, Need] = {
    f"/{service}/{rpc}": need for service, rpcs in _OF_SERVICE.items() for rpc, need in rpcs.items()
}
#: Health checks need no key.
OPEN = "/grpc.health.v1.Health/"
_HIGHEST = Need(Scope.ADMIN, everywhere=True)


def need_of(method: str) -> Need:
    """Returns what a call needs. An unlisted rpc needs the highest scope for every collection."""
    return NEEDS.get(method, _HIGHEST)
