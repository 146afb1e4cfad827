"""What the client takes: images, texts and vectors, as the contract's messages."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from glimpse.client.requests._content import Content, Text, as_list, path_of, picture_of, text_of
from glimpse.client.results._resources import Vector
from glimpse.v1 import collection_service_pb2, types_pb2

# What a request holds beside its items: names, options, gRPC's own framing.
_SLACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to embed, classify or search with.

    The id comes back with the result, and has at most 256 characters. Without one, a file's result has its path.
    """

    content: Content
    id: str = ""


@dataclass(frozen=True, slots=True)
class NewExample:
    """One thing to enroll under a label (a label's id). `id` is as Input's.

    `domain` says where it comes from (camera, site, style); `metadata` is the caller's own.
    """

    content: Content
    label: str
    id: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


AnyInput = Content | Input
Inputs = AnyInput | Iterable[AnyInput]
StreamInputs = Inputs
AsyncStreamInputs = Inputs | AsyncIterable[AnyInput]
Examples = NewExample | Iterable[NewExample]
"""One, or any number of them."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item as a message.

    One that cannot be sent has a `failure`, and goes without content: so its answer keeps its place. `path`: of a
    file, whose result has it where it has no id; it stays on this machine.
    """

    message: Any  # types_pb2.Input or collection_service_pb2.NewExample
    size: int  # bytes on the wire
    failure: types_pb2.ItemStatus | None
    path: str = ""


def prepare_input(given: AnyInput, max_bytes: int) -> Prepared:
    """An input as a message; a file that cannot be read or a message over `max_bytes` is a failure, not an
    exception.

    Raises:
        TypeError: The content is none of the kinds there are, or a str that looks like a file or a URL.
    """
    item = given if isinstance(given, Input) else Input(given)
    message, failure = _filled(item.content, item.id, max_bytes)
    return Prepared(message, message.ByteSize(), failure, path_of(item.content))


def prepare_example(given: NewExample, max_bytes: int) -> Prepared:
    """An example as a message; as `prepare_input`."""
    if not isinstance(given, NewExample):
        raise TypeError(f"an example is NewExample(content, label), not {type(given).__name__}")
    item, failure = _filled(given.content, given.id, max_bytes)
    message = collection_service_pb2.NewExample(
        label_id=given.label, input=item, domain=given.domain, metadata=given.metadata
    )
    return Prepared(message, message.ByteSize(), failure, path_of(given.content))


def prepared(given: Inputs | Examples, prepare: Callable[[Any, int], Prepared]) -> Callable[[int], Iterable[Prepared]]:
    """Inputs or examples, or a single one, as messages of at most `max_bytes`, made as they are sent."""
    return lambda max_bytes: (prepare(one, max_bytes) for one in as_list(given, Input, NewExample))


def _filled(content: Content, item_id: str, max_bytes: int) -> tuple[types_pb2.Input, types_pb2.ItemStatus | None]:
    try:
        message = _message(content, item_id, max_bytes)
    except (OSError, ValueError) as error:
        return _empty(item_id, *_reason(content, error))
    if message.ByteSize() > max_bytes - _SLACK:
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        text = f"an input of {message.ByteSize()} bytes or more; a message takes {max_bytes} in all"
        if message.image:
            text += ": make the picture smaller, or send it as JPEG"
        return _empty(item_id, code, "MESSAGE_TOO_LARGE", text)
    return message, None


def _reason(content: Content, error: OSError | ValueError) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason and message for content that cannot be made a message."""
    if isinstance(content, str | Text):
        return grpc.StatusCode.INVALID_ARGUMENT, "TEXT_INVALID", "the text has characters that UTF-8 cannot carry"
    missing = isinstance(error, FileNotFoundError)
    code = grpc.StatusCode.NOT_FOUND if missing else grpc.StatusCode.INVALID_ARGUMENT
    why = getattr(error, "strerror", None) or error
    return code, "FILE_UNREADABLE", f"{path_of(content) or 'the picture'}: {why}"


def _message(content: Content, item_id: str, max_bytes: int) -> types_pb2.Input:
    if isinstance(content, str | Text):
        text = text_of(content)
        text.encode()  # protobuf's own error for a lone surrogate differs from version to version
        return types_pb2.Input(id=item_id, text=text)
    if isinstance(content, Vector):
        vector = types_pb2.Vector(data=content.values.tobytes(), embedding_space=content.embedding_space)
        return types_pb2.Input(id=item_id, vector=vector)
    return types_pb2.Input(id=item_id, image=picture_of(content, max_bytes))


def _empty(
    item_id: str, code: grpc.StatusCode, reason: str, message: str
) -> tuple[types_pb2.Input, types_pb2.ItemStatus]:
    # A path need not be UTF-8, a message must be.
    carried = message.encode("utf-8", "backslashreplace").decode()
    status = types_pb2.ItemStatus(code=code.value[0], reason=reason, message=carried)
    return types_pb2.Input(id=item_id), status
