"""Inputs and examples, and the messages that carry them."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from glimpse.client.requests._content import Content, Image, Region, Text, Views, as_list, image_bytes, path_of, text_of
from glimpse.client.results._resources import Vector
from glimpse.v1 import collection_service_pb2, types_pb2

# Room in a request for names, options and framing.
_SLACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """An input to embed, classify or search with, with an id.

    Attributes:
        content: An image, a text, a vector, or several views of one thing.
        id: Id that the result repeats, at most 256 characters. Empty: the result of a file has its path.
    """

    content: Content
    id: str = ""


@dataclass(frozen=True, slots=True)
class NewExample:
    """An example to enroll.

    Attributes:
        content: An image, a text or a vector.
        label: Id of the label.
        id: Id that the result repeats, at most 256 characters. Empty: the result of a file has its path.
        domain: Where the content comes from, for example a camera, a site or a style. At most 256 characters.
        metadata: Keys and values of the caller, which the server stores with the example.
        group: What the content is a part of, for example a clip, a burst or a document: examples of one group are no
            independent evidence and are left out together. At most 256 characters. Empty: in no group.
    """

    content: Content
    label: str
    id: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    group: str = ""


AnyInput = Content | Input
Inputs = AnyInput | Iterable[AnyInput]
"""One input, or any number of them."""

StreamInputs = Inputs
"""The inputs of a stream of the sync client."""

AsyncStreamInputs = Inputs | AsyncIterable[AnyInput]
"""The inputs of a stream of the async client."""

Examples = NewExample | Iterable[NewExample]
"""One example, or any number of them."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item as a message.

    Attributes:
        message: An Input or a NewExample message. It has no content if the item cannot be sent, so that the results
            keep their positions.
        size: Size of the message in bytes.
        failure: Why the item cannot be sent. None: it can.
        path: Path of the item's file, which is not sent. The result has it if the item has no id.
    """

    message: Any
    size: int
    failure: types_pb2.ItemStatus | None
    path: str = ""

    @property
    def inputs(self) -> int:
        """The number of inputs that the item counts as: each view of a thing is one."""
        message = self.message
        return len(message.views.inputs) or 1 if isinstance(message, types_pb2.Input) else 1


def prepare_input(content: AnyInput, max_bytes: int) -> Prepared:
    """Prepares an input. A file that cannot be read, or a message over `max_bytes`, is a failure of the item.

    Raises:
        TypeError: If the content is of no known type, or a str that looks like a file or a URL.
    """
    item = content if isinstance(content, Input) else Input(content)
    message, failure = _filled(item.content, item.id, max_bytes)
    return Prepared(message, message.ByteSize(), failure, path_of(item.content))


def prepare_example(example: NewExample, max_bytes: int) -> Prepared:
    """Prepares an example, as `prepare_input` does.

    Raises:
        TypeError: If it is not a NewExample, or its content is of no known type.
    """
    if not isinstance(example, NewExample):
        raise TypeError(f"an example is NewExample(content, label), not {type(example).__name__}")
    item, failure = _filled(example.content, example.id, max_bytes)
    message = collection_service_pb2.NewExample(
        label_id=example.label,
        input=item,
        domain=example.domain,
        metadata=example.metadata,
        group=example.group,
    )
    return Prepared(message, message.ByteSize(), failure, path_of(example.content))


def prepared(items: Inputs | Examples, prepare: Callable[[Any, int], Prepared]) -> Callable[[int], Iterable[Prepared]]:
    """Returns a function that prepares the items one by one for a message limit in bytes."""
    return lambda max_bytes: (prepare(item, max_bytes) for item in as_list(items, Input, NewExample))


def _filled(content: Content, item_id: str, max_bytes: int) -> tuple[types_pb2.Input, types_pb2.ItemStatus | None]:
    try:
        message = _message(content, item_id, max_bytes)
    except (OSError, ValueError) as error:
        return _empty(item_id, *_reason(content, error))
    if message.ByteSize() > max_bytes - _SLACK:
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        text = f"the input has {message.ByteSize()} bytes or more; a request has at most {max_bytes} bytes"
        if message.image:
            text += "; make the image smaller, or send it as JPEG"
        return _empty(item_id, code, "MESSAGE_TOO_LARGE", text)
    return message, None


def _reason(content: Content, error: OSError | ValueError) -> tuple[grpc.StatusCode, str, str]:
    """Returns code, reason and message for content that cannot be sent."""
    if isinstance(content, str | Text):
        return grpc.StatusCode.INVALID_ARGUMENT, "TEXT_INVALID", "the text has characters that UTF-8 cannot encode"
    missing = isinstance(error, FileNotFoundError)
    code = grpc.StatusCode.NOT_FOUND if missing else grpc.StatusCode.INVALID_ARGUMENT
    why = getattr(error, "strerror", None) or error
    name = getattr(error, "filename", None) if isinstance(content, Views) else path_of(content)
    return code, "FILE_UNREADABLE", f"{name or 'the image'}: {why}"


def _message(content: Content, item_id: str, max_bytes: int) -> types_pb2.Input:
    if isinstance(content, str | Text):
        text = text_of(content)
        text.encode()  # Protobuf's error for a lone surrogate differs from version to version.
        return types_pb2.Input(id=item_id, text=text)
    if isinstance(content, Vector):
        vector = types_pb2.Vector(data=content.values.tobytes(), embedding_space=content.embedding_space)
        return types_pb2.Input(id=item_id, vector=vector)
    if isinstance(content, Views):
        views = [_message(view, "", max_bytes) for view in content.contents]
        return types_pb2.Input(id=item_id, views=types_pb2.Views(inputs=views))
    message = types_pb2.Input(id=item_id, image=image_bytes(content, max_bytes))
    if isinstance(content, Image) and content.region is not None:
        region = content.region if isinstance(content.region, Region) else Region(*content.region)
        message.region.MergeFrom(types_pb2.Region(x=region.x, y=region.y, width=region.width, height=region.height))
    return message


def _empty(
    item_id: str, code: grpc.StatusCode, reason: str, message: str
) -> tuple[types_pb2.Input, types_pb2.ItemStatus]:
    # The message may contain a path that is not UTF-8.
    printable = message.encode("utf-8", "backslashreplace").decode()
    status = types_pb2.ItemStatus(code=code.value[0], reason=reason, message=printable)
    return types_pb2.Input(id=item_id), status
