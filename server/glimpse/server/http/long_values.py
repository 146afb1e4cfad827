"""Takes long base64, such as a picture's, and long texts out of a JSON body, and puts them into the parsed message.

Python's parser, its decoder of base64 and json_format's search for unpaired surrogates work on one string in one call,
during which no other thread runs: 20 ms and 100 ms for a picture of 23 MiB, 0.9 s for a text of 30 MiB. Here long
base64 leaves the body before JSON is parsed, long texts leave it afterwards, and both are handled in slices.
"""

import base64
import binascii
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.message import Message

#: Shorter strings stay in the body: they take a millisecond or two.
LEAST = 64 << 10
# A slice takes about a millisecond. A multiple of 4 characters, so that each slice is base64 by itself.
_SLICE = 256 << 10
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")

#: What was taken out, by its stand-in as a message has it. They are random, so a body cannot have one of its own.
Taken = dict[bytes | str, bytes | str]


def take_base64(content: bytes, taken: Taken) -> bytes:
    """Returns a JSON body with a stand-in, which is short base64, for each long base64 string."""
    kept: list[bytes] = []
    end, place = 0, LEAST
    # A string of the least length has a place that is a multiple of it.
    while place < len(content):
        start = content.rfind(b'"', max(end, place - LEAST), place) + 1
        stop = content.find(b'"', place)
        if stop < 0:
            break
        # After a backslash, the quotation mark belongs to a string.
        if start and stop - start >= LEAST and content[start - 2 : start - 1] != b"\\":
            decoded = _decode(content, start, stop)
            if decoded is not None:
                name = secrets.token_bytes(18)
                taken[name] = decoded
                kept += [content[end:start], base64.b64encode(name)]
                end = stop
        place = (stop // LEAST + 1) * LEAST
    return b"".join([*kept, content[end:]])


def take_texts(body: dict[str, Any], kind: Any, taken: Taken) -> None:
    """Replaces the long values of text fields in a parsed JSON object of a message. Raises ValueError.

    Args:
        body: The object, which is changed.
        kind: The descriptor of the message.
        taken: Receives the texts.
    """
    for name, value in body.items():
        field = kind.fields_by_camelcase_name.get(name) or kind.fields_by_name.get(name)
        if field is None:
            continue  # json_format refuses it
        if isinstance(value, list):
            body[name] = [_without_texts(one, field, taken) for one in value]
        elif isinstance(value, dict) and field.message_type and field.message_type.GetOptions().map_entry:
            of_values = field.message_type.fields_by_name["value"]
            body[name] = {key: _without_texts(one, of_values, taken) for key, one in value.items()}
        else:
            body[name] = _without_texts(value, field, taken)


def put_back(message: Message, taken: Mapping[bytes | str, bytes | str]) -> int:
    """Replaces the stand-ins in the fields of a message, at any depth; returns their number."""
    count = 0
    for field, value in message.ListFields():
        places: Iterable[tuple[Any, Any]]
        if not field.is_repeated:
            places = [(field.name, value)]
        elif field.message_type and field.message_type.GetOptions().map_entry:
            places = list(value.items())  # a copy, because values are replaced
        else:
            places = enumerate(value)
        for place, one in places:
            if isinstance(one, Message):
                count += put_back(one, taken)
            elif one in taken:
                count += 1
                if field.is_repeated:
                    value[place] = taken[one]
                else:
                    setattr(message, field.name, taken[one])
    return count


def _without_texts(value: Any, field: Any, taken: Taken) -> Any:
    """Returns a value of a field, with a stand-in for each long text."""
    if isinstance(value, dict) and field.message_type:
        take_texts(value, field.message_type, taken)
    elif isinstance(value, str) and field.type == field.TYPE_STRING and len(value) >= LEAST:
        for start in range(0, len(value), _SLICE):
            value[start : start + _SLICE].encode()  # raises UnicodeEncodeError for half of a surrogate pair
        name = secrets.token_hex(18)
        taken[name] = value
        return name
    return value


def _decode(content: bytes, start: int, stop: int) -> bytes | None:
    """Returns the decoded base64, standard or URL-safe, padded or not, between two places; None if it is none."""
    if content.find(b"=", start, stop - 2) >= 0:  # padding inside
        return None
    decoded = []
    try:
        for place in range(start, stop, _SLICE):
            piece = content[place : min(place + _SLICE, stop)].translate(_FROM_URL_SAFE)
            decoded.append(binascii.a2b_base64(piece + b"=" * (-len(piece) % 4), strict_mode=True))
    except binascii.Error:
        return None
    return b"".join(decoded)
