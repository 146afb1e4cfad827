"""The call that is being answered: its id stands in its answer, its errors and every line of the log about it."""

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: The metadata that carries a request's id, both ways.
REQUEST_ID = "x-request-id"
_SANE = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(slots=True, eq=False)
class Call:
    """`rpc`: `Service/Method`. `trace_id`: in hex; empty where it is not traced."""

    request_id: str
    rpc: str
    trace_id: str = ""
    #: Of a call that takes one message; None until it is here. Likewise its one answer.
    request: Any = None
    response: Any = None
    #: When its message was here, in time.monotonic() seconds; of a stream, when it was opened.
    began: float = 0.0


_current: ContextVar[Call | None] = ContextVar("call", default=None)


#: Returns the call that this task works for, or None.
current = _current.get


def enter(call: Call) -> None:
    """From here on, in this task and those that it starts."""
    _current.set(call)


def request_id_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The caller's own id for a request, where it can stand in a log; else a new one."""
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _SANE.fullmatch(value):
            return value
    return secrets.token_hex(8)
