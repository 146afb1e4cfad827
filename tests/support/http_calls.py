"""Calls over HTTP/JSON with the interface of gRPC's calls, so that a test can make the same calls over both."""

import base64
import http.client
import json
import ssl
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message
from google.rpc import status_pb2

TRANSPORTS = ("grpc", "http")
_CODES = {code.name.lower(): code for code in grpc.StatusCode} | {"canceled": grpc.StatusCode.CANCELLED}
_PREFIX = "type.googleapis.com/"
Headers = Iterable[tuple[str, str]]


class HttpRefused(grpc.RpcError):
    """A refused call, as gRPC's: code, message, and a status with details in the trailing metadata."""

    def __init__(self, status: int, headers: dict[str, str], content: bytes) -> None:
        super().__init__(f"HTTP {status}: {content.decode(errors='replace')}")
        self.http_status, self.headers, self.error = status, headers, json.loads(content)

    def code(self) -> grpc.StatusCode:
        return _CODES[self.error["code"]]

    def details(self) -> str:
        return str(self.error["message"])

    def trailing_metadata(self) -> Any:
        status = status_pb2.Status(code=self.code().value[0], message=self.details())
        for detail in self.error.get("details", ()):
            value = base64.b64decode(detail["value"] + "==")
            status.details.append(any_pb2.Any(type_url=_PREFIX + detail["type"], value=value))
        return [("grpc-status-details-bin", status.SerializeToString())]


def request(
    url: str,
    path: str,
    content: bytes = b"",
    headers: Headers = (),
    verb: str = "POST",
    tls: ssl.SSLContext | None = None,
    timeout: float = 30,
) -> tuple[int, dict[str, str], bytes]:
    """Makes one HTTP request on a connection of its own; returns status, headers and content."""
    parts = urlsplit(url)
    assert parts.hostname
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=tls
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(verb, path, content or None, dict(headers))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def post(
    url: str, method: str, message: Message | bytes | None, headers: Headers = (), *, binary: bool = False
) -> bytes:
    """Calls a method with a message in JSON or in binary; returns the content of the response. Raises HttpRefused."""
    kind = "application/proto" if binary else "application/json"
    if isinstance(message, bytes):
        content = message
    elif binary:
        content = message.SerializeToString() if message else b""
    else:
        content = json_format.MessageToJson(message, indent=None).encode() if message else b"{}"
    status, received, answer = request(url, method, content, [("content-type", kind), *headers])
    if status != 200:
        raise HttpRefused(status, received, answer)
    assert received["content-type"] == kind
    return answer


class HttpChannel:
    """Takes the place of a grpc.Channel for stubs; only unary calls work. They are JSON, unless `binary` is set."""

    def __init__(self, url: str, *, binary: bool = False) -> None:
        self._url, self._binary = url, binary

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Callable[[bytes], Any] | None, **_: object
    ) -> Any:
        parse = response_deserializer or bytes

        def call(message: Message, timeout: float | None = None, metadata: Headers = ()) -> Any:
            limit = [] if timeout is None else [("connect-timeout-ms", str(int(timeout * 1_000)))]
            content = post(self._url, method, message, [*limit, *metadata], binary=self._binary)
            if self._binary:
                return parse(content)
            answer: Any = parse(b"")
            return json_format.Parse(content, answer)

        return call

    def unary_stream(self, *_: object, **__: object) -> None:
        """Makes no call: HTTP carries no streams."""

    stream_stream = stream_unary = unary_stream

    def close(self) -> None:
        """Does nothing: each call has a connection of its own."""
