"""Who is calling: set once, from a call's credentials, and asked for wherever it matters."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import Message

from glimpse.server.auth.rate_limits import RateLimiter
from glimpse.server.auth.scopes import EVERY, Grant, Need, Scope
from glimpse.server.errors import Code, RequestError


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: of the key, or `jwt:` and a token's subject; empty where nobody has to say who he is.

    `peer`: his connection.
    """

    name: str = ""
    grants: tuple[Grant, ...] = (Grant(Scope.ADMIN),)
    #: None: no limits.
    meter: RateLimiter | None = None
    #: Raises RequestError where he may no longer call at all.
    recheck: Callable[[], None] = lambda: None
    #: Of the rpc that is being answered.
    scope: Scope = Scope.READ
    peer: str = ""
    #: Whether the gate let the caller in; False for calls of health, and for calls that the gate refuses.
    admitted: bool = False

    @property
    def turn(self) -> str:
        """As whom he takes turns. Without a name each connection is one: keys prevent gaining by opening many."""
        return self.name or self.peer

    def check_need(self, need: Need) -> None:
        """Raises RequestError PERMISSION_DENIED where no grant could let an rpc through."""
        asking = replace(self, scope=need.scope)
        if not any(one.scope >= need.scope for one in self.grants) or (need.everywhere and not asking.everywhere):
            raise self._denied(need.scope, "for every collection" if need.everywhere else "")

    def may(self, collection_id: str) -> bool:
        """Whether the call may have to do with a collection."""
        return any(one.covers(self.scope, collection_id) for one in self.grants)

    @property
    def everywhere(self) -> bool:
        """Whether the call may have to do with every collection there is or will be."""
        return any(one.scope >= self.scope and one.collections == EVERY for one in self.grants)

    def check(self, collection_id: str, field: str) -> None:
        """Raises RequestError PERMISSION_DENIED where it may not, whether there is such a collection or not."""
        if not self.may(collection_id):
            raise self._denied(self.scope, f"for collection {collection_id!r}").at(field)

    def spend(self, message: Any, size: int) -> None:
        """Counts a message's inputs and its bytes, whatever these are.

        Raises RequestError RESOURCE_EXHAUSTED; and UNAUTHENTICATED where a key or token ended since the call began.
        """
        self.recheck()
        if self.meter:
            self.meter.spend(inputs=_inputs(message), size=size)

    def spend_texts(self, count: int, message: Any) -> None:
        """Counts the texts that a request's prompts came to as inputs, beside those that it spent already.

        Raises RequestError RESOURCE_EXHAUSTED.
        """
        if self.meter:
            self.meter.spend_more(count, _inputs(message))

    def _denied(self, scope: Scope, where: str) -> RequestError:
        message = f"{self.name} lacks the scope {scope} {where}".rstrip()
        return RequestError(Code.PERMISSION_DENIED, "SCOPE_REQUIRED", message)


def _inputs(message: Any) -> int:
    """How many things to embed, classify or enroll; prompts are counted when it is known what they come to."""
    if not isinstance(message, Message):
        return 0
    fields = message.DESCRIPTOR.fields_by_name
    for several in ("inputs", "examples"):
        if several in fields:
            return len(getattr(message, several))
    return int("input" in fields and message.HasField("input"))


_NOBODY = Caller()
_current: ContextVar[Caller] = ContextVar("caller", default=_NOBODY)


def current() -> Caller:
    """Whoever made the call that is being answered."""
    return _current.get()


def connected(peer: str) -> None:
    """From here on, whoever calls does so from there."""
    _current.set(replace(_current.get(), peer=peer))


def enter(caller: Caller) -> None:
    """From here on, in this task and those that it starts."""
    _current.set(caller)
