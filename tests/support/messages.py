"""Generates requests from their descriptors: valid values, limits, and random bytes."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (0.0, -0.0, 0.05, 0.5, 1.0, -1.0, 2.0, 1e-300, 1e308, float("nan"), float("inf"), float("-inf"))
_JUNK = (
    "",
    " ",
    "\0",
    "/",
    "..",
    "../../etc/passwd",
    "a\nb\x1b[2J",
    "Ω\u202e\u0301😀",
    "%2F%00",
    "{}",
    "${jndi:x}",
    "' OR 1=1 --",
    "collections/",
    "collections/a/b",
    "indexes/..",
    "x" * 129,
    "x" * 70_000,
    "ü" * 5_000,
)
_MOST = 3
_LONG = 300


@dataclass(frozen=True)
class World:
    """Valid values: names, ids and texts that a server knows, and contents that it accepts."""

    words: tuple[str, ...]
    contents: tuple[bytes, ...]
    #: Usual values of a field, by its name. Other fields get any value.
    likely: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def requests(self, kind: type[Message]) -> st.SearchStrategy[bytes]:
        """Returns requests as bytes: messages, messages with flipped bits, and random bytes."""
        made = _message(self, kind.DESCRIPTOR).map(lambda one: one.SerializeToString())
        turned = st.builds(_turned, made, st.lists(st.integers(0, 2**20), min_size=1, max_size=4))
        return _mostly((90, made), (7, turned), (3, st.binary(max_size=200)))


def _mostly(*weighed: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Chooses one of several by weight; hypothesis has no weights."""
    return st.sampled_from([kind for weight, kind in weighed for _ in range(weight)]).flatmap(lambda kind: kind)


def _turned(content: bytes, places: Sequence[int]) -> bytes:
    turned = bytearray(content)
    for place in places:
        if turned:
            turned[place // 8 % len(turned)] ^= 1 << place % 8
    return bytes(turned)


@functools.lru_cache
def _message(world: World, kind: Descriptor) -> st.SearchStrategy[Message]:
    made = message_factory.GetMessageClass(kind)
    plain = [field for field in kind.fields if not _in_oneof(field)]
    each = [(field, _field(world, field)) for field in plain]
    choices = [
        st.one_of(st.none(), *(st.tuples(st.just(field), _value(world, field)) for field in oneof.fields))
        for oneof in kind.oneofs
        if len(oneof.fields) > 1
    ]

    @st.composite
    def whole(draw: Any) -> Message:
        message = made()
        for field, strategy in each:
            _set(message, field, draw(strategy))
        for choice in choices:
            if chosen := draw(choice):
                _set(message, *chosen)
        return message

    return whole()


def _in_oneof(field: FieldDescriptor) -> bool:
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def _set(message: Any, field: FieldDescriptor, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, dict):
        getattr(message, field.name).update(value)
    elif isinstance(value, list):
        getattr(message, field.name).extend(value)
    elif isinstance(value, Message):
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _field(world: World, field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if not field.is_repeated:
        # Usually set: a request without a name is refused at once.
        return _mostly((5, _value(world, field)), (1, st.none()))
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (_value(world, field.message_type.fields_by_name[name]) for name in ("key", "value"))
        return st.dictionaries(key, value, max_size=_MOST)
    one = _value(world, field)
    return _mostly((99, st.lists(one, max_size=_MOST)), (1, one.map(lambda value: [value] * _LONG)))


def _value(world: World, field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return st.deferred(lambda: _message(world, field.message_type))
    if field.enum_type is not None:
        known = st.sampled_from([one.number for one in field.enum_type.values])
        return _mostly((9, known), (1, st.sampled_from([77, -1, 2**31 - 1])))
    if field.cpp_type in _INTEGERS:
        least, most = _INTEGERS[field.cpp_type]
        return _mostly((4, st.integers(0, 10)), (1, st.sampled_from([1_000, 1_001, least, most, max(-1, least)])))
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return st.one_of(st.sampled_from(_FLOATS), st.floats(-1, 1))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.one_of(st.sampled_from(world.contents), st.binary(max_size=64))
    return _text(world, field)


def _text(world: World, field: FieldDescriptor) -> st.SearchStrategy[str]:
    likely = dict(world.likely).get(field.name, world.words)
    if field.name == "name":
        # GetLabelRequest and Label have one of `…/labels/…`.
        kind: Any = field.containing_type
        noun = re.findall("[A-Z][a-z]+", kind.name.removesuffix("Request"))[-1].lower()
        likely = tuple(word for word in likely if f"{noun}s/" in word) or likely
    return _mostly(
        (16, st.sampled_from(likely)),
        (2, st.sampled_from(world.words)),
        (1, st.sampled_from(_JUNK)),
        (1, st.text(max_size=20)),
    )
