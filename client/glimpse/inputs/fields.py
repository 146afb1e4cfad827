"""What may stand in a cell, a folder's name or a tar's JSON: ids, labels, domains and texts."""

import math
import unicodedata

from glimpse.inputs.errors import ROW_MALFORMED, Rejected

_MAX_LABEL, _MAX_DOMAIN = 128, 256  # what the server takes
#: Bytes of one input: a picture of more is no picture, and a compressed file can claim any size.
MAX_BYTES = 1 << 28
#: Characters of a text, and of a line of a file: a backbone reads far fewer, and a line is in memory as a whole.
MAX_TEXT = 1 << 24


def legible(name: str) -> str:
    """A text as UTF-8 can carry it: what it cannot is escaped (`caf\\xe9.png`, `\\ud83d`)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        # Bytes of a name that are not UTF-8 stand in it as U+DC80 to U+DCFF.
        return "".join(map(_escaped, name))
    return name


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if 0xD800 <= code <= 0xDFFF else character


def id_of(value: object, column: str) -> str:
    """An input's id.

    Raises:
        Rejected: It is empty, or no text.
    """
    if not (id_ := _stripped(value, column, ROW_MALFORMED)):
        raise Rejected(ROW_MALFORMED, f"{column!r} is empty")
    return id_


def label_of(value: object) -> str | None:
    """A label as the server keeps it: without spaces around it, in Unicode's form NFC; None where there is none.

    Raises:
        Rejected: The server would not take it.
    """
    label = unicodedata.normalize("NFC", _stripped(value, "the label", "LABEL_INVALID"))
    if len(label) > _MAX_LABEL:
        raise Rejected("LABEL_INVALID", f"the label {label[:40]!r}… has {len(label)} characters; at most {_MAX_LABEL}")
    if "/" in label or any(unicodedata.category(character) == "Cc" for character in label):
        raise Rejected("LABEL_INVALID", f"the label {label!r} has a `/` or a control character")
    return label or None


def domain_of(value: object) -> str | None:
    """A domain, in the form of a label; None where there is none.

    Raises:
        Rejected: The server would not take it.
    """
    domain = unicodedata.normalize("NFC", _stripped(value, "the domain", "DOMAIN_INVALID"))
    if len(domain) > _MAX_DOMAIN:
        raise Rejected("DOMAIN_INVALID", f"the domain has {len(domain)} characters; at most {_MAX_DOMAIN}")
    return domain or None


def text_of(value: object, name: str) -> str:
    """A text, as it stands.

    Raises:
        Rejected: It is empty, no text, or UTF-8 cannot carry it.
    """
    if not isinstance(value, str):
        raise Rejected(ROW_MALFORMED, f"{name!r} is {'empty' if value is None else 'no text'}")
    if len(value) > MAX_TEXT:
        raise Rejected("TEXT_TOO_LONG", f"{name!r} has {len(value):,} characters; at most {MAX_TEXT:,}")
    if not value or value.isspace():
        raise Rejected(ROW_MALFORMED, f"{name!r} is empty")
    return _writable(value, repr(name), ROW_MALFORMED)


def _stripped(value: object, name: str, reason: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # what pandas writes for nothing
        return ""
    if isinstance(value, bytes | list | dict):
        raise Rejected(reason, f"{name} is neither a text nor a number")
    return _writable(str(value).strip(), name, reason)


def _writable(text: str, name: str, reason: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # Bytes that are not UTF-8 are read as lone surrogates, so that one row fails and not the file.
        raise Rejected(reason, f"{name} is not UTF-8: {_around(text, error.start)}") from error
    return text


def _around(text: str, place: int) -> str:
    """The part of a text around a character, escaped, for a message."""
    start, end = max(0, place - 20), place + 20
    begin, rest = "…" if start else "", "…" if text[end:] else ""
    return f"'{begin}{legible(text[start:end])}{rest}'"
