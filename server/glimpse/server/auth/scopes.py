"""What a caller may do: scopes, the collections they hold for, and the scope that each rpc needs."""

import re
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase

#: A collection's id, with `*` for any characters.
PATTERN = re.compile(r"[a-z0-9*-]{1,63}")
EVERY = "*"


class Scope(IntEnum):
    """Each includes those before it."""

    READ = 1
    CLASSIFY = 2
    ENROLL = 3
    ADMIN = 4

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, name: str) -> "Scope | None":
        """The scope of a name in lower case; None: there is none such."""
        return next((one for one in cls if str(one) == name), None)


@dataclass(frozen=True, slots=True)
class Grant:
    """A scope, for the collections whose ids match a pattern."""

    scope: Scope
    collections: str = EVERY

    def covers(self, scope: Scope, collection_id: str) -> bool:
        """Whether it lets a caller do this to a collection."""
        if scope > self.scope:
            return False
        return self.collections == EVERY or fnmatchcase(collection_id, self.collections)


@dataclass(frozen=True, slots=True)
class Need:
    """What an rpc needs. `everywhere`: for all collections there are or will be, not for some one."""

    scope: Scope
    everywhere: bool = False


_OF_SERVICE: dict[str, dict[str, Need]] = {
    "glimpse.v1.ServerService": {"GetServerInfo": Need(Scope.READ)},
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
        "GetLabel": Need(Scope.READ),
        "ListLabels": Need(Scope.READ),
        "GetExample": Need(Scope.READ),
        "ListExamples": Need(Scope.READ),
        "EnrollExamples": Need(Scope.ENROLL),
        "DeleteExample": Need(Scope.ENROLL),
        "CreateLabel": Need(Scope.ENROLL),
        "UpdateLabel": Need(Scope.ENROLL),
        "DeleteLabel": Need(Scope.ENROLL),
        "CreateCollection": Need(Scope.ADMIN),
        "UpdateCollection": Need(Scope.ADMIN),
        "DeleteCollection": Need(Scope.ADMIN),
        "DetachIndex": Need(Scope.ADMIN),
        "StartCompaction": Need(Scope.ADMIN),
        "GetCompaction": Need(Scope.READ),
        "GetReembedding": Need(Scope.READ),
        "StartReembedding": Need(Scope.ADMIN),
        "SwitchBackbone": Need(Scope.ADMIN),
        "EndReembedding": Need(Scope.ADMIN),
        # It names any index of the server's folder, those of other collections too.
        "AttachIndex": Need(Scope.ADMIN, everywhere=True),
    },
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": Need(Scope.READ)},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": Need(Scope.READ)},
}
#: By the path that gRPC calls an rpc by.
NEEDS: dict[str, Need] = {
    f"/{service}/{rpc}": need for service, rpcs in _OF_SERVICE.items() for rpc, need in rpcs.items()
}
#: Probes have no key.
OPEN = "/grpc.health.v1.Health/"


def need_of(method: str) -> Need:
    """What a call needs; of an rpc that nobody thought of, everything there is."""
    return NEEDS.get(method, Need(Scope.ADMIN, everywhere=True))
