"""grpc.health.v1, for probes and balancers: it answers whoever asks, so what it takes and holds has bounds."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from glimpse.server.api.handlers import Context, check_message
from glimpse.server.api.registry import SERVICES
from glimpse.server.errors import RequestError, abort, exhausted, invalid, not_found
from glimpse.server.monitoring.probe import ALIVE

# Of a service's name, in bytes.
_LONGEST = 256
# Of a message.
_LARGEST = 1_024
# Open at once, whoever has them, and of one connection.
_MOST_WATCHES, _MOST_OF_ONE = 1_000, 100
_COME_BACK_SECONDS = 5.0
_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated without types
    """The server as a whole, its services, and whether it is alive. Of other names nothing is kept."""

    def __init__(self) -> None:
        # What warms up or drains is not to be killed for it.
        self._statuses = {ALIVE: _Response.SERVING} | dict.fromkeys(("", *SERVICES), _Response.NOT_SERVING)
        self._changed = asyncio.Condition()
        self._watches: Counter[str] = Counter()  # by connection

    async def set(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Of all but whether it is alive."""
        async with self._changed:
            self._statuses |= dict.fromkeys(("", *SERVICES), status)
            self._changed.notify_all()

    async def Check(self, request: Any, context: Context) -> object:
        """One status."""
        try:
            return _Response(status=self._statuses[known_service(request)])
        except RequestError as refusal:
            await abort(context, refusal)

    async def List(self, request: Any, context: Context) -> object:
        """All of them."""
        each = {name: _Response(status=status) for name, status in self._statuses.items()}
        return health_pb2.HealthListResponse(statuses=each)

    async def Watch(self, request: Any, context: Context) -> AsyncIterator[object]:
        """A status, and again whenever it changes; that of a service there is not never does."""
        peer = context.peer()
        try:
            service = _name(request)
            if self._watches.total() >= _MOST_WATCHES or self._watches[peer] >= _MOST_OF_ONE:
                told = f"watches are open: {self._watches.total()}, and {self._watches[peer]} of this connection"
                raise exhausted("TOO_MANY_STREAMS", told, _COME_BACK_SECONDS)
        except RequestError as refusal:
            await abort(context, refusal)
        self._watches[peer] += 1
        try:
            said = None
            while True:
                async with self._changed:
                    while said == (now := self._statuses.get(service, _Response.SERVICE_UNKNOWN)):
                        await self._changed.wait()
                    said = now
                yield _Response(status=said)
        finally:
            self._watches -= Counter((peer,))  # and none is kept of a connection that has no more


def known_service(request: Any) -> str:
    """The service that is asked for. Raises RequestError, where there is none of its name too."""
    service = _name(request)
    if service not in ("", ALIVE, *SERVICES):
        raise not_found("SERVICE_NOT_FOUND", "the server has no service of this name", "service")
    return service


def _name(request: Any) -> str:
    check_message(request)
    name: str = request.service
    if (size := len(name.encode())) > _LONGEST:
        raise invalid("TOO_LONG", f"{size} bytes; at most {_LONGEST}", "service")
    # Of fields that nobody knows; a watch would keep them.
    if (size := request.ByteSize()) > _LARGEST:
        raise exhausted("MESSAGE_TOO_LARGE", f"a message of {size} bytes; at most {_LARGEST}")
    return name
