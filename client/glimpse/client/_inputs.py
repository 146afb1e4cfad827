"""What the client takes: images, texts and vectors, as the contract's messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from glimpse.client._resources import Vector
from glimpse.v1 import collection_service_pb2, types_pb2

# What a request holds beside its items: names, options, gRPC's own framing.
_SLACK = 64 * 1024

Content = bytes | Path | str | Vector
"""An encoded image, an image file (read when it is sent), a text, or a vector."""


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to embed, classify or search with. The id comes back with the result; at most 256
    characters."""

    content: Content
    id: str = ""


@dataclass(frozen=True, slots=True)
class NewExample:
    """One thing to enroll under a label (a label's id).

    `domain` says where it comes from (camera, site, style); `metadata` is the caller's own.
    """

    content: Content
    label: str
    id: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


AnyInput = Content | Input


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item as a message.

    One that cannot be sent has a `failure`, and goes without content: so its answer keeps its place.
    """

    message: Any  # types_pb2.Input or collection_service_pb2.NewExample
    size: int  # bytes on the wire
    failure: types_pb2.ItemStatus | None


def prepare_input(given: AnyInput, max_bytes: int) -> Prepared:
    """An input as a message; a file that cannot be read or a message over `max_bytes` is a failure, not an
    exception.

    Raises:
        TypeError: The content is none of the kinds there are.
    """
    item = given if isinstance(given, Input) else Input(given)
    message, failure = _filled(item.content, item.id, max_bytes)
    return Prepared(message, message.ByteSize(), failure)


def prepare_example(given: NewExample, max_bytes: int) -> Prepared:
    """An example as a message; as `prepare_input`."""
    item, failure = _filled(given.content, given.id, max_bytes)
    message = collection_service_pb2.NewExample(
        label_id=given.label, input=item, domain=given.domain, metadata=given.metadata
    )
    return Prepared(message, message.ByteSize(), failure)


def _filled(content: Content, item_id: str, max_bytes: int) -> tuple[types_pb2.Input, types_pb2.ItemStatus | None]:
    try:
        message = _message(content, item_id)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        code = grpc.StatusCode.NOT_FOUND if missing else grpc.StatusCode.INVALID_ARGUMENT
        return _empty(item_id, code, "FILE_UNREADABLE", f"{content!s}: {error.strerror or error}")
    except UnicodeEncodeError:
        code = grpc.StatusCode.INVALID_ARGUMENT
        return _empty(item_id, code, "TEXT_INVALID", "the text has characters that UTF-8 cannot carry")
    if message.ByteSize() > max_bytes - _SLACK:
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        text = f"an input of {message.ByteSize()} bytes; a message takes {max_bytes} in all"
        return _empty(item_id, code, "MESSAGE_TOO_LARGE", text)
    return message, None


def _message(content: Content, item_id: str) -> types_pb2.Input:
    if isinstance(content, Path):
        return types_pb2.Input(id=item_id, image=content.read_bytes())
    if isinstance(content, bytes):
        return types_pb2.Input(id=item_id, image=content)
    if isinstance(content, str):
        content.encode()  # protobuf's own error for a lone surrogate differs from version to version
        return types_pb2.Input(id=item_id, text=content)
    if isinstance(content, Vector):
        vector = types_pb2.Vector(data=content.values.tobytes(), embedding_space=content.embedding_space)
        return types_pb2.Input(id=item_id, vector=vector)
    raise TypeError(f"an input is bytes, a Path, a str or a Vector, not {type(content).__name__}")


def _empty(
    item_id: str, code: grpc.StatusCode, reason: str, message: str
) -> tuple[types_pb2.Input, types_pb2.ItemStatus]:
    status = types_pb2.ItemStatus(code=code.value[0], reason=reason, message=message)
    return types_pb2.Input(id=item_id), status
