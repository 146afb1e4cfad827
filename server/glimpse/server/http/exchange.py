"""One HTTP request and its response, on the HTTP thread: headers, a bounded body, and bytes until they are sent."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from glimpse.server.api.dispatcher import Metadata
from glimpse.server.errors import Code, RequestError, exhausted, invalid

# A caller has this long to read a response of any size: 32 MiB at 5 Mbit/s, as for a message.
SEND_SECONDS = 60.0
# Over TLS, uvloop takes everything that is written at once, and pauses the writer only before the next part. So up to
# two parts of a response that nobody reads are not counted.
_PART_BYTES = 64 << 10
_TIMEOUT = re.compile(r"[0-9]{1,10}")


class Exchange:
    """One request and its response, over the functions of an ASGI server."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._read = asyncio.Event()
        self._left = False
        #: The headers of the request, with names in lower case. Of a repeated header the first one counts.
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            self.headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        #: The bytes of the headers.
        self.head_size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        self.verb: str = scope["method"]
        self.path: str = scope["path"]

    @property
    def peer(self) -> str:
        """The caller's address, as gRPC writes it."""
        host, port = self._scope["client"][:2]
        return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"

    @property
    def metadata(self) -> Metadata:
        """The headers as the metadata of a call."""
        return tuple(self.headers.items())

    @property
    def content_type(self) -> str:
        """The type of the body, without parameters; empty if the request names none."""
        kind, _, parameters = self.headers.get("content-type", "").lower().partition(";")
        charset = parameters.strip()
        return kind.strip() if charset in ("", "charset=utf-8", 'charset="utf-8"') else f"{kind};{parameters}"

    @property
    def seconds(self) -> float | None:
        """The time until the caller stops waiting; None without a deadline. Raises RequestError."""
        milliseconds = self.headers.get("connect-timeout-ms")
        if milliseconds is None:
            return None
        if not _TIMEOUT.fullmatch(milliseconds):
            raise invalid("HEADER_INVALID", "connect-timeout-ms must have 1 to 10 digits")
        return int(milliseconds) / 1_000

    def check_protocol(self) -> None:
        """Checks the headers of the Connect protocol. Raises RequestError."""
        if (version := self.headers.get("connect-protocol-version", "1")) != "1":
            raise invalid("HEADER_INVALID", f"connect-protocol-version must be 1, not {version[:20]!r}")

    async def read(self, limit: int) -> bytes:
        """Returns the body.

        Args:
            limit: Most bytes of the body.

        Raises:
            RequestError: The body is larger, or compressed.
            CancelledError: The caller has left.
        """
        encoding = self.headers.get("content-encoding", "identity")
        if encoding not in ("", "identity"):
            message = f"compressed bodies ({encoding[:20]!r}) are not supported; use identity"
            raise RequestError(Code.UNIMPLEMENTED, "ENCODING_UNSUPPORTED", message)
        length = self.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise _too_large(limit)
        chunks, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._left = True
                self._read.set()
                raise asyncio.CancelledError
            chunks.append(message["body"])
            size += len(message["body"])
            if size > limit:
                raise _too_large(limit)
            if not message["more_body"]:
                self._read.set()
                return b"".join(chunks)

    async def wait_until_left(self) -> None:
        """Waits until the caller has left. Before the body is read, this is not known."""
        await self._read.wait()
        if not self._left:
            await self._receive()  # after the body, only a disconnection arrives

    async def respond(self, status: int, headers: Iterable[tuple[str, str]], content: bytes = b"") -> None:
        """Sends a response, and returns once the connection has taken all of it.

        Raises:
            TimeoutError: The caller does not read it.
        """
        lines = [*headers, ("content-length", str(len(content)))]
        if status == 204:
            lines.pop()
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in lines]
        async with asyncio.timeout(SEND_SECONDS):
            await self._send({"type": "http.response.start", "status": status, "headers": encoded})
            # Each message waits until the one before has left the buffer of the connection.
            for start in range(0, len(content), _PART_BYTES):
                part = content[start : start + _PART_BYTES]
                await self._send({"type": "http.response.body", "body": part, "more_body": True})
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_large(limit: int) -> RequestError:
    message = f"the body is larger than {limit} bytes: send fewer inputs in one call"
    return exhausted("MESSAGE_TOO_LARGE", message)
