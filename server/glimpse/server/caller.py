"""Who is calling: set once, from a call's credentials, and asked for wherever it matters."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: of the key, or of a token's subject; empty where nobody has to say who he is."""

    name: str = ""


_NOBODY = Caller()
_current: ContextVar[Caller] = ContextVar("caller", default=_NOBODY)


def current() -> Caller:
    """Whoever made the call that is being answered."""
    return _current.get()


def enter(caller: Caller) -> None:
    """From here on, in this task and those that it starts."""
    _current.set(caller)
