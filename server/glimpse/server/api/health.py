"""grpc.health.v1, for probes and load balancers.

It needs no credentials, so the size of its messages and the number of its streams are limited.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from glimpse.server.api.handlers import Context, check_message
from glimpse.server.api.registry import SERVICES
from glimpse.server.errors import RequestError, abort, exhausted, invalid, not_found
from glimpse.server.monitoring.probe import ALIVE

# Bytes of the name of a service, and of a message.
_MAX_NAME_BYTES, _MAX_MESSAGE_BYTES = 256, 1_024
# Watches open at once, in all and per connection.
_MAX_WATCHES, _MAX_WATCHES_PER_CONNECTION = 1_000, 100
_RETRY_SECONDS = 5.0
_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated without types
    """The health of the server as a whole (the empty name), of each service, and of the process (ALIVE)."""

    def __init__(self) -> None:
        """Starts with NOT_SERVING for everything but ALIVE."""
        # ALIVE stays SERVING, so that no liveness probe kills a server that warms up or drains.
        self._statuses = {ALIVE: _Response.SERVING} | dict.fromkeys(("", *SERVICES), _Response.NOT_SERVING)
        self._changed = asyncio.Condition()
        self._watches: Counter[str] = Counter()  # by connection

    async def set(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Sets the status of the server and of each service; ALIVE stays SERVING."""
        async with self._changed:
            self._statuses |= dict.fromkeys(("", *SERVICES), status)
            self._changed.notify_all()

    async def Check(self, request: Any, context: Context) -> object:
        """Returns the status of one service. An unknown name is NOT_FOUND (SERVICE_NOT_FOUND)."""
        try:
            return _Response(status=self._statuses[known_service(request)])
        except RequestError as refusal:
            await abort(context, refusal)

    async def List(self, request: Any, context: Context) -> object:
        """Returns the status of each service."""
        statuses = {name: _Response(status=status) for name, status in self._statuses.items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(self, request: Any, context: Context) -> AsyncIterator[object]:
        """Yields the status of one service, and again when it changes. An unknown name is always SERVICE_UNKNOWN.

        The number of open watches is limited, in all and per connection: RESOURCE_EXHAUSTED (TOO_MANY_STREAMS).
        """
        peer = context.peer()
        try:
            service = _name(request)
            self._check_watches(peer)
        except RequestError as refusal:
            await abort(context, refusal)
        self._watches[peer] += 1
        try:
            sent = None
            while True:
                async with self._changed:
                    while sent == (status := self._statuses.get(service, _Response.SERVICE_UNKNOWN)):
                        await self._changed.wait()
                    sent = status
                yield _Response(status=sent)
        finally:
            self._watches -= Counter((peer,))  # this also drops a connection without watches

    def _check_watches(self, peer: str) -> None:
        """Checks that a connection may open one more watch. Raises RequestError."""
        total, own = self._watches.total(), self._watches[peer]
        if total >= _MAX_WATCHES or own >= _MAX_WATCHES_PER_CONNECTION:
            message = (
                f"{total} watches are open, {own} of them on this connection; "
                f"at most {_MAX_WATCHES} watches, and {_MAX_WATCHES_PER_CONNECTION} per connection"
            )
            raise exhausted("TOO_MANY_STREAMS", message, _RETRY_SECONDS)


def known_service(request: Any) -> str:
    """Returns the name of the service that a health request asks for.

    Raises:
        RequestError: The message is unparsable or too large, or the server has no service of this name.
    """
    service = _name(request)
    if service not in ("", ALIVE, *SERVICES):
        raise not_found("SERVICE_NOT_FOUND", "the server has no service of this name", "service")
    return service


def _name(request: Any) -> str:
    check_message(request)
    name: str = request.service
    if (size := len(name.encode())) > _MAX_NAME_BYTES:
        message = f"the name of the service has {size} bytes; at most {_MAX_NAME_BYTES} bytes"
        raise invalid("TOO_LONG", message, "service")
    # The message may have unknown fields, which a watch would keep in memory.
    if (size := request.ByteSize()) > _MAX_MESSAGE_BYTES:
        message = f"the message has {size} bytes; at most {_MAX_MESSAGE_BYTES} bytes"
        raise exhausted("MESSAGE_TOO_LARGE", message)
    return name
