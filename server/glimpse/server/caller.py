"""Who is calling: set once, from a call's credentials, and asked for wherever it matters."""

from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: of the key, or of a token's subject; empty where nobody has to say who he is. `peer`: his connection."""

    name: str = ""
    peer: str = ""

    @property
    def turn(self) -> str:
        """As whom he takes turns. Without a name each connection is one: keys prevent gaining by opening many."""
        return self.name or self.peer


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
