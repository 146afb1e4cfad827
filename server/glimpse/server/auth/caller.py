"""The caller of the current call: its name, permissions and limits."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import Message

from glimpse.server.auth.rate_limits import RateLimiter
from glimpse.server.auth.scopes import EVERY, Grant, Need, Scope
from glimpse.server.errors import Code, RequestError
from glimpse.v1 import types_pb2


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, as its credentials identify it."""

    #: Name of the API key, or `jwt:` and the subject of a token; empty for an anonymous caller.
    name: str = ""
    grants: tuple[Grant, ...] = (Grant(Scope.ADMIN),)
    #: Rate limits; None if there are none.
    rate_limiter: RateLimiter | None = None
    #: Raises RequestError if the key or token has expired or was revoked.
    recheck: Callable[[], None] = lambda: None
    #: Scope that the current rpc needs.
    scope: Scope = Scope.READ
    #: Address of the caller's connection.
    peer: str = ""
    #: Whether the auth interceptor admitted the caller; False for health checks and for refused calls.
    admitted: bool = False

    @property
    def fairness_key(self) -> str:
        """Key of the caller in fair queues.

        An anonymous caller is one per connection. Keys keep callers from gaining time through many connections.
        """
        return self.name or self.peer

    def check_need(self, need: Need) -> None:
        """Checks that some grant can allow an rpc. Raises RequestError PERMISSION_DENIED."""
        allowed = any(grant.scope >= need.scope for grant in self.grants)
        if not allowed or (need.everywhere and not replace(self, scope=need.scope).everywhere):
            raise self._denied(need.scope, "for every collection" if need.everywhere else "")

    def may(self, collection_id: str) -> bool:
        """Returns whether the current rpc may access a collection."""
        return any(grant.covers(self.scope, collection_id) for grant in self.grants)

    def scope_for(self, collection_id: str) -> int:
        """Returns the highest scope for a collection that exists; 0 if there is none."""
        return max((grant.scope for grant in self.grants if grant.covers(grant.scope, collection_id)), default=0)

    @property
    def general_scope(self) -> int:
        """The highest scope for every collection, present or future; 0 if there is none."""
        return max((grant.scope for grant in self.grants if grant.collections == EVERY), default=0)

    @property
    def everywhere(self) -> bool:
        """Returns whether the current rpc may access every collection, present or future."""
        return any(grant.scope >= self.scope and grant.collections == EVERY for grant in self.grants)

    def check(self, collection_id: str, field: str) -> None:
        """Checks access to a collection, whether or not it exists. Raises RequestError PERMISSION_DENIED."""
        if not self.may(collection_id):
            raise self._denied(self.scope, f"for collection {collection_id!r}").at(field)

    def spend(self, message: Any, size: int) -> None:
        """Counts a message's inputs and its bytes against the caller's limits.

        Args:
            message: The request, or another object if its bytes could not be parsed.
            size: Bytes of the message.

        Raises:
            RequestError: RESOURCE_EXHAUSTED over a limit; UNAUTHENTICATED if the key or token has ended since the call
                began.
        """
        self.recheck()
        if self.rate_limiter:
            self.rate_limiter.spend(inputs=_inputs(message), size=size)

    def spend_texts(self, count: int, message: Any) -> None:
        """Counts `count` texts of a request's prompts as inputs, in addition to the inputs that `spend` counted.

        Raises:
            RequestError: RESOURCE_EXHAUSTED over a limit.
        """
        if self.rate_limiter:
            self.rate_limiter.spend_more(count, _inputs(message))

    def spend_inputs(self, count: int) -> None:
        """Counts `count` inputs that a call embeds, beside those of its request.

        Raises:
            RequestError: RESOURCE_EXHAUSTED over a limit.
        """
        if self.rate_limiter:
            self.rate_limiter.spend(inputs=count)

    def _denied(self, scope: Scope, where: str) -> RequestError:
        message = f"permission denied: {self.name} lacks the scope {scope} {where}".rstrip()
        return RequestError(Code.PERMISSION_DENIED, "SCOPE_REQUIRED", message)


def _inputs(message: Any) -> int:
    """Returns the number of inputs of a request, each view of a thing counted as one.

    Prompts are counted later, once it is known which are new.
    """
    if not isinstance(message, Message):
        return 0
    request: Any = message
    fields = message.DESCRIPTOR.fields_by_name
    if "examples" in fields:
        return len(request.examples)
    if "inputs" in fields:
        return count_inputs(request.inputs)
    return count_inputs([request.input]) if "input" in fields and request.HasField("input") else 0


def count_inputs(inputs: Sequence[types_pb2.Input]) -> int:
    """Returns the number of inputs, each view of a thing counted as one."""
    return sum(len(item.views.inputs) or 1 if item.HasField("views") else 1 for item in inputs)


_ANONYMOUS = Caller()
_caller: ContextVar[Caller] = ContextVar("caller", default=_ANONYMOUS)
#: The current caller's key in fair queues. It is set once per call, since every queue and limit reads it.
fairness_key: ContextVar[str] = ContextVar("fairness_key", default="")
#: Returns the caller of the current call.
current_caller = _caller.get


def set_caller(caller: Caller) -> None:
    """Sets the caller for this task and the tasks that it starts."""
    _caller.set(caller)
    fairness_key.set(caller.fairness_key)


def set_peer(peer: str) -> None:
    """Sets the address of the caller's connection, for this task and the tasks that it starts."""
    set_caller(replace(_caller.get(), peer=peer))
