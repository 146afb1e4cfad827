"""Checks ids, labels, domains, groups and texts from cells, folder names and JSON."""

import math
import unicodedata

from glimpse.inputs.errors import ROW_MALFORMED, Rejected

_MAX_LABEL, _MAX_NAME = 128, 256  # the server's limits, in characters
#: Limit for the bytes of one input. A compressed file can claim any size.
MAX_BYTES = 1 << 28
#: Limit for the characters of a text and of a line. A backbone reads far fewer, and a line is held in memory.
MAX_TEXT = 1 << 24


def legible(name: str) -> str:
    """Returns a text as valid UTF-8, with invalid parts escaped (`caf\\xe9.png`, `\\ud83d`)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        # Python decodes bytes that are not UTF-8 to U+DC80…U+DCFF (surrogateescape).
        return "".join(map(_escaped, name))
    return name


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if 0xD800 <= code <= 0xDFFF else character


def id_of(value: object, column: str) -> str:
    """Returns an input's id.

    Args:
        value: The value of the cell.
        column: The column's name, for the error.

    Raises:
        Rejected: The value is empty, or not a text or number.
    """
    if not (id_ := _stripped(value, column, ROW_MALFORMED)):
        raise Rejected(ROW_MALFORMED, f"{column!r} is empty")
    return id_


def label_of(value: object) -> str | None:
    """Returns a label as the server keeps it: stripped and normalised to NFC. Returns None if it is empty.

    Raises:
        Rejected: The server does not accept the label.
    """
    label = unicodedata.normalize("NFC", _stripped(value, "the label", "LABEL_INVALID"))
    if len(label) > _MAX_LABEL:
        raise Rejected(
            "LABEL_INVALID", f"the label {label[:40]!r}… has {len(label)} characters; the limit is {_MAX_LABEL}"
        )
    if "/" in label or any(unicodedata.category(character) == "Cc" for character in label):
        raise Rejected("LABEL_INVALID", f"the label {label!r} contains a `/` or a control character")
    return label or None


def domain_of(value: object) -> str | None:
    """Returns a domain as the server keeps it: stripped and normalised to NFC. Returns None if it is empty.

    Raises:
        Rejected: The server does not accept the domain.
    """
    return _name_of(value, "domain")


def group_of(value: object) -> str | None:
    """Returns a group as the server keeps it: stripped and normalised to NFC. Returns None if it is empty.

    Raises:
        Rejected: The server does not accept the group.
    """
    return _name_of(value, "group")


def _name_of(value: object, noun: str) -> str | None:
    name = unicodedata.normalize("NFC", _stripped(value, f"the {noun}", f"{noun.upper()}_INVALID"))
    if len(name) > _MAX_NAME:
        raise Rejected(f"{noun.upper()}_INVALID", f"the {noun} has {len(name)} characters; the limit is {_MAX_NAME}")
    return name or None


def text_of(value: object, name: str) -> str:
    """Checks a text and returns it unchanged.

    Args:
        value: The value.
        name: What it is, for the error: a column's name, or `the line`.

    Raises:
        Rejected: The value is empty, not a text, too long, or not valid UTF-8.
    """
    if not isinstance(value, str):
        raise Rejected(ROW_MALFORMED, f"{name!r} is {'empty' if value is None else 'not a text'}")
    if len(value) > MAX_TEXT:
        raise Rejected("TEXT_TOO_LONG", f"{name!r} has {len(value):,} characters; the limit is {MAX_TEXT:,}")
    if not value or value.isspace():
        raise Rejected(ROW_MALFORMED, f"{name!r} is empty")
    return _valid_utf8(value, repr(name), ROW_MALFORMED)


def _stripped(value: object, name: str, reason: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # pandas uses NaN for a missing value
        return ""
    if isinstance(value, bytes | list | dict):
        raise Rejected(reason, f"{name} is neither a text nor a number")
    return _valid_utf8(str(value).strip(), name, reason)


def _valid_utf8(text: str, name: str, reason: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Files are read with invalid bytes as lone surrogates, so that only this row fails, not the whole file.
        raise Rejected(reason, f"{name} is not UTF-8: {_excerpt(text, error.start)}") from error
    return text


def _excerpt(text: str, position: int) -> str:
    """Returns the part of a text around a position, escaped, for a message."""
    start, end = max(0, position - 20), position + 20
    before, after = "…" if start else "", "…" if text[end:] else ""
    return f"'{before}{legible(text[start:end])}{after}'"
