"""The decorators `unary` and `streaming`, which do what every call needs: admission, limits, deadline and errors."""

import functools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import numpy as np

from glimpse.server.api.unparsable import UnparsableMessage
from glimpse.server.auth.caller import current_caller, set_peer
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
    """Decorates a method that answers one request with one response.

    The decorated method refuses the call if the server is overloaded, accounts for the size of the request, and ends
    the call with the status of a RequestError. Any other exception is logged, and the caller gets INTERNAL.

    The class of the method may set two attributes. `refreshes` makes each call see all writes that any server of the
    ledger committed before the call began. `at_the_end` lets calls through while the server stops.
    """

    @functools.wraps(method)
    async def answer(self: S, request: Q, context: Context) -> R:
        try:
            if not current_caller().peer:  # otherwise it is known since the message was received
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
        except Exception as error:  # an unexpected exception is logged, and answered as INTERNAL
            refusal = _refusal(error, method.__name__)
        await abort(context, refusal)

    return answer


def streaming(
    method: Callable[[S, AsyncIterator[Q], Context], AsyncIterator[R]],
) -> Callable[[S, AsyncIterator[Q], Context], AsyncIterator[R]]:
    """Decorates a method that answers a stream of requests; it handles overload and errors as `unary` does."""

    @functools.wraps(method)
    async def answer(self: S, requests: AsyncIterator[Q], context: Context) -> AsyncIterator[R]:
        try:
            set_peer(context.peer())
            _load_shedder_of(self).enter()
            with inflight_of(self).stream():
                async for response in method(self, requests, context):
                    yield response
            return
        except Exception as error:  # as in `unary`
            refusal = _refusal(error, method.__name__)
        await abort(context, refusal)

    return answer


def size_of(request: Any) -> int:
    """Returns the size of a message in bytes, also of bytes that could not be parsed."""
    size: int = request.size if isinstance(request, UnparsableMessage) else request.ByteSize()
    return size


def account_request(servicer: Any, request: Any) -> int:
    """Counts a message against its caller's rate limits, and checks that it can be answered.

    Args:
        servicer: The service; its settings have the limit of a message.
        request: The message, or an UnparsableMessage, whose bytes count too.

    Returns:
        The size of the message in bytes.

    Raises:
        RequestError: The caller is over a rate limit, or the message cannot be parsed or is too large. gRPC itself
            refuses only messages that are far larger.
    """
    size = size_of(request)
    current_caller().spend(request, size)
    check_message(request)
    limit = servicer.settings.max_message_bytes
    if size > limit:
        message = f"the message has {size} bytes; at most {limit} bytes: send fewer inputs in one call"
        raise exhausted("MESSAGE_TOO_LARGE", message)
    return size


def check_message(request: Any) -> None:
    """Checks that a message could be parsed. Raises RequestError."""
    if isinstance(request, UnparsableMessage):
        raise invalid("MESSAGE_UNPARSABLE", request.problem)


def inflight_of(servicer: Any) -> InflightLimiter:
    """Returns the limiter that counts the work of a service."""
    inflight: InflightLimiter = servicer.runtime.inflight
    return inflight


def _load_shedder_of(servicer: Any) -> LoadShedder:
    load_shedder: LoadShedder = servicer.runtime.load_shedder
    return load_shedder


def deadline_of(context: Context) -> float:
    """Returns when the caller stops waiting, in time.monotonic() seconds; infinity if it set no deadline."""
    remaining = context.time_remaining()
    return np.inf if remaining is None else time.monotonic() + remaining


def _refusal(error: Exception, name: str) -> RequestError:
    refusal = as_request_error(error)
    if refusal is None:
        logger.error("%s failed", name, exc_info=error)
        return INTERNAL
    return refusal
