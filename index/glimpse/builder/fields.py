"""What may stand in a cell, a folder's name or a tar's JSON: ids, labels, domains and texts."""

import math
import os
import unicodedata
from dataclasses import dataclass

_MAX_LABEL, _MAX_DOMAIN = 128, 256  # what the server takes
ROW_MALFORMED = "ROW_MALFORMED"
FILE_UNREADABLE = "FILE_UNREADABLE"
#: Of one input: a picture of more is no picture, and a compressed tar can claim any size.
MAX_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table's columns, and the keys of a tar's JSON, are called.

    No text: pictures in `bytes`, `path` or `image`, and where there are none texts in `text`.
    """

    id: str = "id"
    label: str = "label"
    domain: str = "domain"
    text: str | None = None


class Rejected(Exception):
    """One input that cannot be an entry, and why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def legible(name: str) -> str:
    """A file's name as UTF-8 can write it: bytes that are none are escaped."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def id_of(value: object, column: str) -> str:
    """An input's id. Raises Rejected."""
    if not (found := _stripped(value, column, ROW_MALFORMED)):
        raise Rejected(ROW_MALFORMED, f"{column!r} is empty")
    return found


def label_of(value: object) -> str | None:
    """A label, as the server takes them; None where there is none. Raises Rejected."""
    label = _stripped(value, "the label", "LABEL_INVALID")
    if len(label) > _MAX_LABEL:
        raise Rejected("LABEL_INVALID", f"the label {label[:40]!r}… has {len(label)} characters; at most {_MAX_LABEL}")
    if "/" in label or any(unicodedata.category(character) == "Cc" for character in label):
        raise Rejected("LABEL_INVALID", f"the label {label!r} has a `/` or a control character")
    return label or None


def domain_of(value: object) -> str | None:
    """A domain; None where there is none. Raises Rejected."""
    domain = _stripped(value, "the domain", "DOMAIN_INVALID")
    if len(domain) > _MAX_DOMAIN:
        raise Rejected("DOMAIN_INVALID", f"the domain has {len(domain)} characters; at most {_MAX_DOMAIN}")
    return domain or None


def text_of(value: object, column: str) -> str:
    """A text to encode, as it stands. Raises Rejected."""
    if not isinstance(value, str):
        raise Rejected(ROW_MALFORMED, f"{column!r} is {'empty' if value is None else 'no text'}")
    if not value.strip():
        raise Rejected(ROW_MALFORMED, f"{column!r} is empty")
    return _writable(value, column, ROW_MALFORMED)


def _stripped(value: object, name: str, reason: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # what pandas writes for nothing
        return ""
    if isinstance(value, bytes | list | dict):
        raise Rejected(reason, f"{name} is neither a text nor a number")
    return _writable(str(value).strip(), name, reason)


def _writable(text: str, name: str, reason: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # bytes that are not UTF-8 were read as lone surrogates, so that one row fails
        raise Rejected(reason, f"{name} is not UTF-8") from error
    return text
