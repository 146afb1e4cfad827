"""What every call shares: the size limit, the deadline, and errors told the same way."""

import functools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import numpy as np

from glimpse.server.api.unparsable import UnparsableMessage
from glimpse.server.auth.caller import current, set_peer
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.errors import INTERNAL, RequestError, abort, as_request_error, exhausted, invalid
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.scheduling.load_shedder import LoadShedder

logger = logging.getLogger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]
S = TypeVar("S")
Q = TypeVar("Q")
R = TypeVar("R")


def unary(method: Callable[[S, Q, Context], Awaitable[R]]) -> Callable[[S, Q, Context], Awaitable[R]]:
    """A call with one answer: deliberate errors reach the caller, others the log.

    A service that `refreshes` sees all that was committed when the call began, by whichever server; one that is there
    `at_the_end` answers while the server stops, too.
    """

    @functools.wraps(method)
    async def answer(self: S, request: Q, context: Context) -> R:
        try:
            if not current().peer:  # otherwise it is known since the message was received
                set_peer(context.peer())
            inflight = inflight_of(self)
            _load_shedder_of(self).enter()
            size = account_request(self, request)
            inflight.check(size)
            with inflight.track_call(size, at_the_end=getattr(self, "at_the_end", False)):
                if getattr(self, "refreshes", False):
                    catalog: Catalog = self.runtime.catalog  # type: ignore[attr-defined]
                    if catalog.shared:
                        await catalog.follower.refresh()
                return await method(self, request, context)
        except Exception as error:  # anything unexpected is told the caller as INTERNAL and logged
            refusal = _refusal(error, method.__name__)
        await abort(context, refusal)

    return answer


def streaming(
    method: Callable[[S, AsyncIterator[Q], Context], AsyncIterator[R]],
) -> Callable[[S, AsyncIterator[Q], Context], AsyncIterator[R]]:
    """A call with a stream of answers, with errors told as in `unary`."""

    @functools.wraps(method)
    async def answer(self: S, requests: AsyncIterator[Q], context: Context) -> AsyncIterator[R]:
        try:
            set_peer(context.peer())
            _load_shedder_of(self).enter()
            with inflight_of(self).stream():
                async for response in method(self, requests, context):
                    yield response
            return
        except Exception as error:  # as above
            refusal = _refusal(error, method.__name__)
        await abort(context, refusal)

    return answer


def size_of(request: Any) -> int:
    """The bytes of a message, or of what is none."""
    size: int = request.size if isinstance(request, UnparsableMessage) else request.ByteSize()
    return size


def account_request(servicer: Any, request: Any) -> int:
    """The size of a message, which counts against its caller's limits whatever it is; of what is none too.

    Raises RequestError; likewise where it is no message, or over the server's limit (gRPC refuses only far more).
    """
    size = size_of(request)
    current().spend(request, size)
    if isinstance(request, UnparsableMessage):
        raise _unparsable()
    most = servicer.settings.max_message_bytes
    if size > most:
        raise exhausted(
            "MESSAGE_TOO_LARGE", f"a message of {size} bytes; at most {most}. Send fewer inputs in one call"
        )
    return size


def check_message(request: Any) -> None:
    """Raises RequestError where it is none."""
    if isinstance(request, UnparsableMessage):
        raise _unparsable()


def _unparsable() -> RequestError:
    return invalid("MESSAGE_UNPARSABLE", "the bytes sent are no message of this call")


def inflight_of(servicer: Any) -> InflightLimiter:
    """Where a service's work is counted."""
    inflight: InflightLimiter = servicer.runtime.inflight
    return inflight


def _load_shedder_of(servicer: Any) -> LoadShedder:
    load_shedder: LoadShedder = servicer.runtime.load_shedder
    return load_shedder


def deadline_of(context: Context) -> float:
    """When the caller stops waiting, in time.monotonic() seconds."""
    remaining = context.time_remaining()
    return np.inf if remaining is None else time.monotonic() + remaining


def _refusal(error: Exception, name: str) -> RequestError:
    refusal = as_request_error(error)
    if refusal is None:
        logger.error("%s failed", name, exc_info=error)
        return INTERNAL
    return refusal
