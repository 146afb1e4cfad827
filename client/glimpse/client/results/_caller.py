"""The caller, as GetCaller returns it."""

from collections.abc import Mapping
from dataclasses import dataclass

from glimpse.client.requests._enums import Scope, member
from glimpse.client.requests._names import CollectionRef, collection_name
from glimpse.client.transport._steps import Unary
from glimpse.v1 import server_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Caller:
    """The name and the permissions of a client, as the server knows it by its key or token.

    Attributes:
        name: Name of the API key, or `jwt:` and the subject of the token. Empty: anonymous.
        scope: Scope for every collection, present and future.
        collections: Scopes that are higher than `scope`, by the full names of collections that exist.
    """

    name: str
    scope: Scope
    collections: Mapping[str, Scope]

    def scope_of(self, collection: CollectionRef) -> Scope:
        """Returns the scope for a collection that exists."""
        return self.collections.get(collection_name(collection), self.scope)


def get_caller() -> Unary[Caller]:
    """Builds the request of GetCaller."""
    return Unary("server.GetCaller", pb.GetCallerRequest(), _parse)


def _parse(message: pb.GetCallerResponse) -> Caller:
    collections = {one.name: member(Scope, one.scope) for one in message.collections}
    return Caller(message.name, member(Scope, message.scope), collections)
