"""Returns the bytes of kept inputs, or thumbnails of them, within the bounds of one answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from glimpse.backbone import InputError
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError, as_request_error, exhausted, failed_precondition, item_status
from glimpse.server.inference.decoders import Decoders
from glimpse.server.validation import check_range
from glimpse.v1 import types_pb2

#: The most names of a request.
MAX_NAMES = 256
_MAX_BYTES = 4 << 20
_MIN_SIDE, _MAX_SIDE = 16, 512
# Inputs that are made thumbnails at a time; it bounds the memory of their originals.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class KeptInput:
    """An input that a request names: where its bytes are, or why there are none.

    Attributes:
        name: The resource name in the request.
        key: What `read` finds it by.
        modality: Number of the contract's enum.
        size: Its bytes.
        refusal: The reason, if there are none.
    """

    name: str
    key: str = ""
    modality: int = 0
    size: int = 0
    refusal: RequestError | None = None


#: Reads the bytes of inputs by their keys; those that have gone since are missing.
Read = Callable[[Sequence[str]], Awaitable[dict[str, bytes]]]


def check_readable(view: CollectionView, thumbnail_size: int) -> None:
    """Checks that a collection's content may be returned, and the size of a thumbnail. Raises RequestError."""
    if thumbnail_size:
        check_range(thumbnail_size, _MIN_SIDE, _MAX_SIDE, "thumbnail_size")
    if not view.record.content_readable:
        message = f"collection {view.record.id!r} does not return content; an admin can set content_readable"
        raise failed_precondition("CONTENT_NOT_READABLE", message, "parent")


async def read_contents(
    inputs: Sequence[KeptInput], read: Read, decoders: Decoders, thumbnail_size: int
) -> list[types_pb2.Content]:
    """Returns one content for each input, in order.

    Args:
        inputs: The inputs.
        read: Reads their bytes.
        decoders: Make thumbnails.
        thumbnail_size: The most pixels a side; 0 for the kept bytes.

    Raises:
        LedgerError: The inputs cannot be read.
    """
    contents: list[types_pb2.Content] = []
    left = _MAX_BYTES
    for start in range(0, len(inputs), _AT_ONCE):
        some = inputs[start : start + _AT_ONCE]
        # Images become much smaller, but the bytes of the others are known to be too many before they are read.
        wanted = [one for one in some if not one.refusal and (_is_reduced(one, thumbnail_size) or one.size <= left)]
        if not contents and not some[0].refusal and some[0] not in wanted:
            wanted.append(some[0])
        kept = await read([one.key for one in wanted]) if wanted else {}
        made = await asyncio.gather(*(_made(one, kept.get(one.key), decoders, thumbnail_size) for one in some))
        for one, content in zip(some, made, strict=True):
            size = len(content.image) + len(content.text.encode())
            too_large = size > left or (one not in wanted and not one.refusal)
            # A first one always comes, so that every kept input can be read.
            if too_large and contents:
                content = _refused(one, _too_large(one))
            else:
                left -= size
            contents.append(content)
    return contents


def _is_reduced(one: KeptInput, thumbnail_size: int) -> bool:
    return bool(thumbnail_size) and one.modality == types_pb2.MODALITY_IMAGE


async def _made(one: KeptInput, data: bytes | None, decoders: Decoders, thumbnail_size: int) -> types_pb2.Content:
    if one.refusal:
        return _refused(one, one.refusal)
    if data is None:
        return _refused(one, not_kept(one.name))
    if one.modality == types_pb2.MODALITY_TEXT:
        return types_pb2.Content(name=one.name, text=data.decode())
    if not thumbnail_size:
        return types_pb2.Content(name=one.name, image=data)
    try:
        return types_pb2.Content(name=one.name, image=await decoders.thumbnail(data, thumbnail_size))
    except InputError as error:
        refusal = as_request_error(error)
        assert refusal is not None  # noqa: S101 (an InputError always has one)
        return _refused(one, refusal)


def _refused(one: KeptInput, refusal: RequestError) -> types_pb2.Content:
    return types_pb2.Content(name=one.name, status=item_status(refusal))


def not_kept(name: str) -> RequestError:
    """Returns the error of an input whose bytes are not kept."""
    return failed_precondition("INPUT_NOT_KEPT", f"the input of {name!r} is not kept", "names")


def _too_large(one: KeptInput) -> RequestError:
    message = f"the answer would have over {_MAX_BYTES} bytes with {one.name!r}; ask for it in a call of its own"
    return exhausted("ANSWER_TOO_LARGE", message).at("names")
