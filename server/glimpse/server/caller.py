"""Who is calling: set once, from a call's credentials, and asked for wherever it matters."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from glimpse.server.access.limits import Meter
from glimpse.server.access.scopes import EVERY, Grant, Need, Scope
from glimpse.server.errors import Code, RequestError
from glimpse.v1 import types_pb2


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: of the key, or `jwt:` and a token's subject; empty where nobody has to say who he is.

    `peer`: his connection.
    """

    name: str = ""
    grants: tuple[Grant, ...] = (Grant(Scope.ADMIN),)
    #: None: no limits.
    meter: Meter | None = None
    #: Raises RequestError where he may no longer call at all.
    recheck: Callable[[], None] = lambda: None
    #: Of the rpc that is being answered.
    scope: Scope = Scope.READ
    peer: str = ""

    @property
    def turn(self) -> str:
        """As whom he takes turns. Without a name each connection is one: keys prevent gaining by opening many."""
        return self.name or self.peer

    def check_need(self, need: Need) -> None:
        """Raises RequestError PERMISSION_DENIED where no grant could let an rpc through."""
        good = [one for one in self.grants if one.scope >= need.scope]
        if not good or (need.everywhere and not any(one.collections == EVERY for one in good)):
            raise self._denied(need.scope, "for every collection" if need.everywhere else "")

    def may(self, collection_id: str) -> bool:
        """Whether the call may have to do with a collection."""
        return any(one.covers(self.scope, collection_id) for one in self.grants)

    def check(self, collection_id: str, field: str) -> None:
        """Raises RequestError PERMISSION_DENIED where it may not, whether there is such a collection or not."""
        if not self.may(collection_id):
            raise self._denied(self.scope, f"for collection {collection_id!r}").at(field)

    def spend(self, message: Any) -> None:
        """Counts a request's inputs and bytes, or one input of a stream.

        Raises RequestError RESOURCE_EXHAUSTED; and UNAUTHENTICATED where a key or token ended since the call began.
        """
        self.recheck()
        if self.meter:
            self.meter.spend(inputs=_inputs(message), size=message.ByteSize())

    def _denied(self, scope: Scope, where: str) -> RequestError:
        message = f"{self.name} lacks the scope {scope} {where}".rstrip()
        return RequestError(Code.PERMISSION_DENIED, "SCOPE_REQUIRED", message)


def _inputs(message: Any) -> int:
    """How many things to embed, classify or enroll."""
    for several in ("inputs", "examples"):
        if several in message.DESCRIPTOR.fields_by_name:
            return len(getattr(message, several))
    return int(isinstance(message, types_pb2.Input))


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
