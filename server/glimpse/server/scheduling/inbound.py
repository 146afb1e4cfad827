"""Receives the messages of calls within limits: how many at once, from which callers, and for how long.

gRPC reports a message only once it is complete, neither its size nor its start. It reads more than one window of it
(grpc_options.UNREAD_BYTES) only after the handler asks for the message. So the server asks when there is room for the
largest message, and the sender then has a limited time to finish it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc

from glimpse.server.auth.caller import current_caller, fairness_key
from glimpse.server.errors import invalid
from glimpse.server.scheduling.grpc_options import receive_limit
from glimpse.server.scheduling.inbound_limiter import WAIT_SECONDS, InboundLimiter
from glimpse.server.settings import Settings

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]
# An admitted caller has this long for a message while no other call waits: 32 MiB at 5 Mbit/s.
_ADMITTED_SECONDS = 60.0
# Limits of unfinished calls without a key: per connection, in total, and of these the messages being read.
_MAX_OF_CONNECTION, _MAX_ANONYMOUS, _ANONYMOUS_READS = 8, 64, 4
# Admitted callers: most waiting calls in total, and fewest concurrent reads where max_held_bytes is small.
_MAX_WAITING, _MIN_READS = 1_024, 4
# A cancelled call has no message. The notice of its cancellation follows within this time.
_CANCEL_SECONDS = 0.02


class Inbound:
    """Receives messages. Admitted callers and anonymous ones have limits of their own."""

    def __init__(self, settings: Settings) -> None:
        """Sizes the limits for the largest message and the bytes that the server may hold."""
        reads = max(_MIN_READS, settings.max_held_bytes // receive_limit(settings))
        self._admitted = InboundLimiter(reads, max_calls=reads + _MAX_WAITING, seconds=_ADMITTED_SECONDS)
        self._anonymous = InboundLimiter(
            _ANONYMOUS_READS, max_calls=_MAX_ANONYMOUS, max_of_caller=_MAX_OF_CONNECTION, seconds=WAIT_SECONDS
        )

    async def receive(self, context: Context) -> Any:
        """Returns the message of a call that sends one. Raises RequestError."""
        message = await self.next(context.read)
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in its stubs
            await asyncio.sleep(_CANCEL_SECONDS)
            raise invalid("MESSAGE_UNPARSABLE", "the call carries no message")
        return message

    async def end(self, context: Context) -> None:
        """Waits until the caller has closed its side after its message. Raises RequestError if it sends another."""
        if await self.next(context.read) is not grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in its stubs
            raise invalid("MESSAGE_UNPARSABLE", "the call carries more than one message")

    async def next(self, read: Callable[[], Awaitable[T]]) -> T:
        """Returns the result of `read` for the current caller, within its limits. Raises RequestError."""
        caller = current_caller()
        if caller.admitted:
            return await self._admitted.receive(fairness_key.get(), read)
        # Grouped by address, so that many connections of one machine cannot keep out another machine's health checks.
        return await self._anonymous.receive(caller.peer, read, group=_host(caller.peer))


def _host(peer: str) -> str:
    """Returns a connection's address without its port: `ipv4:10.0.0.1` for `ipv4:10.0.0.1:50051`."""
    return peer.rpartition(":")[0]
