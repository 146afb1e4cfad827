"""The codecs of HTTP bodies: the Connect protocol in JSON and in binary."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from glimpse.server.api.unparsable import UnparsableMessage
from glimpse.server.http.errors import error_content, error_headers, http_status
from glimpse.server.http.long_values import LEAST, Taken, put_back, take_base64, take_texts

JSON, PROTO = "application/json", "application/proto"
STREAM_TYPES = ("application/connect+json", "application/connect+proto")
# Each object, list, member and element costs one of these characters, and about a hundred bytes while JSON is parsed.
# The largest valid requests have a fifth of this number.
_STRUCTURE, _MAX_STRUCTURE = (b"{", b"[", b",", b":"), 1_000_000
# Other threads run between two parts of a body; counting in a part takes a millisecond.
_PART_BYTES = 1 << 20
# RecursionError: the JSON is nested too deeply. ValueError and TypeError: json_format does not translate them.
_PROBLEMS = (json_format.Error, ValueError, TypeError, RecursionError)


class Reply(NamedTuple):
    """A response without the headers of its call."""

    status: int
    content_type: str
    content: bytes
    headers: Sequence[tuple[str, str]] = ()


class Codec(Protocol):
    """Reads the body of a request and writes the body of a response."""

    def decode(self, content: bytes) -> Message | UnparsableMessage:
        """Returns the message of the call that a body carries. Raises RequestError."""

    def encode(self, content: bytes) -> Reply:
        """Returns the reply for the bytes of a response message."""

    def refuse(self, status: Any) -> Reply:
        """Returns the reply for a google.rpc.Status."""


class ConnectJson:
    """The Connect protocol with messages in ProtoJSON. Unknown fields are refused, so that no typing error is lost."""

    def __init__(self, request: type[Message], response: type[Message]) -> None:
        self._request, self._response = request, response

    def decode(self, content: bytes) -> Message | UnparsableMessage:
        """Returns the message; an UnparsableMessage with the problem if the body is none."""
        taken: Taken = {}
        rest = take_base64(content, taken)
        if taken:
            try:
                return self._parse(rest, taken)
            except _PROBLEMS:
                pass  # the body has an error, which is reported without stand-ins, or a text that looks like base64
        try:
            return self._parse(content, {})
        except _PROBLEMS as error:
            problem = str(error).partition("\n")[0]  # the second line lists all fields
            return UnparsableMessage(len(content), f"the body is no JSON of this call: {problem}")

    def _parse(self, content: bytes, taken: Taken) -> Message:
        """Returns the message of a body from which values were taken out. Raises one of _PROBLEMS."""
        check_structure(content)
        body = json.loads(content.decode(), object_pairs_hook=_object)
        if not isinstance(body, dict):
            raise ValueError("it is no object")
        message = self._request()
        if len(content) >= LEAST:
            take_texts(body, message.DESCRIPTOR, taken)
        json_format.ParseDict(body, message)
        if taken and put_back(message, taken) != len(taken):
            raise ValueError("a long value is in a field of another kind")
        return message

    def encode(self, content: bytes) -> Reply:
        """Returns the response message as JSON."""
        return Reply(200, JSON, message_json(self._response.FromString(content)))

    def refuse(self, status: Any) -> Reply:
        """Returns the error of the Connect protocol."""
        return Reply(http_status(status), JSON, error_content(status), error_headers(status))


class ConnectProto:
    """The Connect protocol with binary messages; errors are JSON."""

    def __init__(self, request: type[Message]) -> None:
        self._request = request

    def decode(self, content: bytes) -> Message | UnparsableMessage:
        """Returns the message, or an UnparsableMessage."""
        try:
            return self._request.FromString(content)
        except DecodeError:
            return UnparsableMessage(len(content))

    def encode(self, content: bytes) -> Reply:
        """Returns the response message as it is."""
        return Reply(200, PROTO, content)

    def refuse(self, status: Any) -> Reply:
        """Returns the error of the Connect protocol."""
        return Reply(http_status(status), JSON, error_content(status), error_headers(status))


class ConnectStream:
    """A stream of the Connect protocol, which is always refused: in the one message that ends it."""

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type

    def decode(self, content: bytes) -> UnparsableMessage:
        """Returns an UnparsableMessage: no stream is read."""
        return UnparsableMessage(len(content))

    def encode(self, content: bytes) -> Reply:
        """Returns an empty reply: no stream is answered."""
        return Reply(200, self._content_type, content)

    def refuse(self, status: Any) -> Reply:
        """Returns the end of the stream: a flag, the length in 4 bytes, and the error in JSON."""
        content = b'{"error":' + error_content(status) + b"}"
        return Reply(200, self._content_type, b"\x02" + len(content).to_bytes(4, "big") + content)


def http_reply(status: int, message: str, *headers: tuple[str, str]) -> Reply:
    """Returns the reply to a request that is no call: Connect's clients take its status for an unknown error."""
    code = "unimplemented" if status == 404 else "unknown"
    return Reply(status, JSON, json.dumps({"code": code, "message": message}).encode(), headers)


def check_structure(content: bytes, characters: Sequence[bytes] = _STRUCTURE) -> None:
    """Checks, before it is parsed, that JSON has few enough values for the memory. Raises ValueError."""
    starts = range(0, len(content), _PART_BYTES)
    count = sum(content.count(one, start, start + _PART_BYTES) for start in starts for one in characters)
    if count > _MAX_STRUCTURE:
        raise ValueError(f"it has {count} values and separators; at most {_MAX_STRUCTURE}")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a JSON object. Raises ValueError if a name is given twice."""
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("an object has a member twice")
    return found


def message_json(message: Message) -> bytes:
    """Returns a message in compact ProtoJSON."""
    return json.dumps(json_format.MessageToDict(message), ensure_ascii=False, separators=(",", ":")).encode()
