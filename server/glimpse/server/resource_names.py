"""Builds and parses resource names and page tokens, and normalises the spelling of ids."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence

from glimpse.server.errors import invalid

# Characters of a resource name. The id of an index's row is a path, percent-encoded: up to 3 x 4,096 characters.
_MAX_NAME, _MAX_EXAMPLE_NAME = 512, 16_384
# Characters of a page token. The longest key is a label's id: 128 characters of 4 bytes each, in base64.
_MAX_TOKEN = 1_024
# Digits of a sequence number in a page token, so that it fits 63 bits.
_MAX_DIGITS = 18
# A text with at most this many combining marks in a row is "stream-safe" (UAX #15). Normalising more marks takes
# quadratic time.
_MAX_MARKS = 30
_MAX_COLLECTION = 63
#: Characters of a label's id.
MAX_LABEL = 128


def collection_name(collection_id: str) -> str:
    """Returns `collections/{collection}`."""
    return f"collections/{collection_id}"


def label_name(collection_id: str, label_id: str) -> str:
    """Returns `collections/{collection}/labels/{label}`."""
    return f"collections/{collection_id}/labels/{label_id}"


def example_name(collection_id: str, example_id: str) -> str:
    """Returns `collections/{collection}/examples/{example}`."""
    return f"collections/{collection_id}/examples/{example_id}"


def review_item_name(collection_id: str, item_id: str) -> str:
    """Returns `collections/{collection}/reviewItems/{item}`."""
    return f"collections/{collection_id}/reviewItems/{item_id}"


def resolution_name(collection_id: str, resolution_id: str) -> str:
    """Returns `collections/{collection}/reviewResolutions/{resolution}`."""
    return f"collections/{collection_id}/reviewResolutions/{resolution_id}"


def index_name(index_id: str) -> str:
    """Returns `indexes/{index}`."""
    return f"indexes/{index_id}"


def last_segment(name: str) -> str:
    """Returns the id at the end of a resource name."""
    return name.rpartition("/")[2]


def parse_name(name: str, pattern: str, field: str) -> Sequence[str]:
    """Returns the ids in a resource name.

    Args:
        name: The resource name.
        pattern: Its form, for example `collections/*/labels/*`.
        field: The request field of the name, for errors.

    Raises:
        RequestError: The name is too long or does not have the form.
    """
    limit = _MAX_EXAMPLE_NAME if pattern.endswith("/examples/*") else _MAX_NAME
    if len(name) > limit:
        raise invalid("TOO_LONG", f"the name has {len(name)} characters; at most {limit} characters", field)
    if (ids := _ids(name, pattern)) is None:
        shape = pattern.replace("*", "{id}")
        hint = f"; write {pattern.replace('*', name)!r}" if _is_bare_id(name, pattern) else ""
        raise invalid("INVALID_NAME", f"{name!r} is not a name of the form {shape}{hint}", field)
    return ids


def _is_bare_id(name: str, pattern: str) -> bool:
    return pattern.count("*") == 1 and bool(name) and "/" not in name


def _ids(name: str, pattern: str) -> tuple[str, ...] | None:
    segments, expected = name.split("/"), pattern.split("/")
    if len(segments) != len(expected):
        return None
    pairs = list(zip(segments, expected, strict=True))
    if not all(segment if literal == "*" else segment == literal for segment, literal in pairs):
        return None
    return tuple(segment for segment, literal in pairs if literal == "*")


def normal(text: str) -> str:
    """Returns a text in Unicode's form NFC without spaces at its ends, so that equal names have one spelling.

    A text with more than 30 combining marks in a row keeps its form.
    """
    text = text.strip()
    return text if text.isascii() or _has_many_marks(text) else unicodedata.normalize("NFC", text)


def _has_many_marks(text: str) -> bool:
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > _MAX_MARKS:
            return True
    return False


def suggested_id(text: str, longest: int = _MAX_COLLECTION) -> str:
    """Returns a valid collection id that is similar to a text; empty where no letter or digit is left."""
    letters = unicodedata.normalize("NFKD", text[:longest].strip().lower()).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
    if plain and not plain[0].isalpha():
        plain = f"c-{plain}"
    return plain[:longest].rstrip("-")


def page_size(requested: int) -> int:
    """Returns the number of items of a page: 0 means 100, and 1,000 is the largest.

    Raises:
        RequestError: The requested size is negative.
    """
    if requested < 0:
        raise invalid("OUT_OF_RANGE", f"page_size {requested} is negative; 0 means 100", "page_size")
    return min(requested or 100, 1_000)


def page_token(after: str) -> str:
    """Returns the opaque token of the page after a key."""
    return base64.urlsafe_b64encode(after.encode()).decode()


def page_after(token: str) -> str:
    """Returns the key that a page token holds; empty for the first page. Raises RequestError."""
    if len(token) > _MAX_TOKEN:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this service", "page_token")
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this service", "page_token") from error


def page_number(token: str) -> int:
    """Returns the number that a page token holds; 0 for the first page. Raises RequestError."""
    after = page_after(token) or "0"
    if not after.isdecimal() or len(after) > _MAX_DIGITS:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token")
    return int(after)
