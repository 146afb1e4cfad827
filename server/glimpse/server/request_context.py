"""The context of the call that is being answered: its request id, its method and its messages.

The request id is in the response's metadata, in errors and in every log line about the call.
"""

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: The metadata that carries a request's id, both ways.
REQUEST_ID = "x-request-id"
_LOGGABLE = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(slots=True, eq=False)
class Call:
    """One call.

    Attributes:
        request_id: The caller's id of the request, or one that the server made.
        rpc: `Service/Method`.
        trace_id: The trace id in hexadecimal; empty if the call is not traced.
        request: The message of a unary call; None until it has arrived.
        response: The response of a unary call; None until it is made.
        began: When the message arrived, or the stream was opened, in time.monotonic() seconds.
        span: The span of the call's trace, or None.
    """

    request_id: str
    rpc: str
    trace_id: str = ""
    request: Any = None
    response: Any = None
    began: float = 0.0
    span: Any = None


_call: ContextVar[Call | None] = ContextVar("call", default=None)


#: Returns the call that this task works for, or None. It is the method itself and not a function around it, because
#: each call uses it many times.
current_call = _call.get


def set_call(call: Call) -> None:
    """Sets the call that this task, and every task that it starts, works for."""
    _call.set(call)


def request_id_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Returns the request id in a call's metadata, if it is 1 to 64 printable ASCII characters; else a new one."""
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _LOGGABLE.fullmatch(value):
            return value
    # The id is no secret, so it needs none of the system's random bytes, which cost a system call.
    return f"{random.getrandbits(64):016x}"
