"""The context of a call over HTTP: what services and interceptors use of grpc.aio.ServicerContext."""

import contextvars
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.rpc import status_pb2

from glimpse.server.api.dispatcher import Metadata
from glimpse.server.scheduling.inflight import InflightLimiter

_DETAILS = "grpc-status-details-bin"


class HttpContext:
    """The context of one call. It lives on the server's event loop, except that the HTTP thread makes it."""

    def __init__(
        self, peer: str, metadata: Metadata, seconds: float | None, read: Callable[[], Awaitable[Any]]
    ) -> None:
        """Describes a call.

        Args:
            peer: The caller's address in gRPC's form, for example `ipv4:127.0.0.1:50051`.
            metadata: The headers of the request; names are in lower case.
            seconds: Time until the caller stops waiting; None without a deadline.
            read: Reads the message on the HTTP thread.
        """
        self._peer, self._metadata, self.read = peer, metadata, read
        self._end = None if seconds is None else time.monotonic() + seconds
        self._code: grpc.StatusCode | None = None
        self._details, self._trailing = "", tuple[tuple[str, str | bytes], ...]()
        self._done, self._callbacks = False, list[Callable[[Any], None]]()
        self._variables = contextvars.Context()

    def peer(self) -> str:
        """Returns the address of the caller's connection."""
        return self._peer

    def invocation_metadata(self) -> Metadata:
        """Returns the headers of the request."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Returns the seconds until the deadline; None if there is no deadline."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def code(self) -> grpc.StatusCode | None:
        """Returns the status code; None until the call is refused."""
        return self._code

    def details(self) -> str:
        """Returns the message of the status."""
        return self._details

    def trailing_metadata(self) -> Metadata:
        """Returns the metadata of the response."""
        return self._trailing

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        """Replaces the metadata of the response."""
        self._trailing = tuple(metadata)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:
        """Ends the call with a status. Raises grpc.aio.AbortError."""
        self._code, self._details = code, details
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        raise grpc.aio.AbortError

    def status(self) -> status_pb2.Status:
        """Returns the status of a refused call, with its details."""
        for name, value in self._trailing:
            if name == _DETAILS and isinstance(value, bytes):
                return status_pb2.Status.FromString(value)
        code = self._code or grpc.StatusCode.UNKNOWN
        return status_pb2.Status(code=code.value[0], message=self._details)

    def response_headers(self) -> list[tuple[str, str]]:
        """Returns the metadata of the response that HTTP headers carry, such as the request id."""
        return [(name, value) for name, value in self._trailing if isinstance(value, str)]

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Calls `callback` once the response is sent or the caller has left; at once if that is so already."""
        if self._done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def remember_caller(self) -> None:
        """Keeps the context variables of the call's task, which name the caller."""
        self._variables = contextvars.copy_context()

    def hold(self, inflight: InflightLimiter, size: int) -> None:
        """Counts `size` bytes of the response, in addition to its message, as the caller's until the call is done."""
        release = self._variables.run(inflight.hold, size)
        self.add_done_callback(lambda _: release())

    def finish(self) -> None:
        """Marks the call as done: its response is sent, or the caller has left."""
        self._done = True
        for callback in self._callbacks:
            callback(self)
        self._callbacks.clear()
