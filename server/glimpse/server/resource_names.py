"""Resource names, the spelling of ids, and page tokens."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence

from glimpse.server.errors import invalid

# Characters of a resource name. An example of an index is named by its path, percent-encoded: 3 x 4,096, and the rest.
_LONGEST_NAME, _LONGEST_EXAMPLE = 512, 16_384
# Characters of a page token: the longest key is a label's id, 128 characters of 4 bytes each, in base64.
_LONGEST_TOKEN = 1_024
# Of a sequence number in a page token: what fits 63 bits.
_MAX_DIGITS = 18
# Combining marks in a row up to which a text is "stream-safe" (UAX #15): normalising more takes quadratic time.
_MOST_MARKS = 30
_MAX_COLLECTION = 63
#: Characters of a label's id.
MAX_LABEL = 128


def collection_name(collection_id: str) -> str:
    """`collections/{collection}`."""
    return f"collections/{collection_id}"


def label_name(collection_id: str, label_id: str) -> str:
    """`collections/{collection}/labels/{label}`."""
    return f"collections/{collection_id}/labels/{label_id}"


def example_name(collection_id: str, example_id: str) -> str:
    """`collections/{collection}/examples/{example}`."""
    return f"collections/{collection_id}/examples/{example_id}"


def index_name(index_id: str) -> str:
    """`indexes/{index}`."""
    return f"indexes/{index_id}"


def last_segment(name: str) -> str:
    """The id at the end of a resource name."""
    return name.rpartition("/")[2]


def parse_name(name: str, pattern: str, field: str) -> Sequence[str]:
    """The ids in a resource name; `pattern` is e.g. `collections/*/labels/*`. Raises RequestError."""
    longest = _LONGEST_EXAMPLE if pattern.endswith("/examples/*") else _LONGEST_NAME
    if len(name) > longest:
        raise invalid("TOO_LONG", f"a name of {len(name)} characters; at most {longest}", field)
    if (ids := _ids(name, pattern)) is None:
        shape = pattern.replace("*", "{id}")
        hint = f"; write {pattern.replace('*', name)!r}" if _is_bare_id(name, pattern) else ""
        raise invalid("INVALID_NAME", f"{name!r} is not a name of the form {shape}{hint}", field)
    return ids


def _is_bare_id(name: str, pattern: str) -> bool:
    return pattern.count("*") == 1 and bool(name) and "/" not in name


def _ids(name: str, pattern: str) -> tuple[str, ...] | None:
    given, wanted = name.split("/"), pattern.split("/")
    if len(given) != len(wanted):
        return None
    pairs = list(zip(given, wanted, strict=True))
    if not all(part if want == "*" else part == want for part, want in pairs):
        return None
    return tuple(part for part, want in pairs if want == "*")


def normal(text: str) -> str:
    """A text in Unicode's form NFC, without spaces at its ends, so that two spellings of one name are one.

    A text with more than 30 combining marks in a row keeps its form.
    """
    text = text.strip()
    return text if text.isascii() or _has_many_marks(text) else unicodedata.normalize("NFC", text)


def _has_many_marks(text: str) -> bool:
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > _MOST_MARKS:
            return True
    return False


def suggested_id(text: str, longest: int = _MAX_COLLECTION) -> str:
    """The collection id that is nearest to a text: lower-case letters, digits and hyphens. Empty: nothing is left."""
    letters = unicodedata.normalize("NFKD", text[:longest].strip().lower()).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
    if plain and not plain[0].isalpha():
        plain = f"c-{plain}"
    return plain[:longest].rstrip("-")


def page_size(asked: int) -> int:
    """How many to return: 0 is 100, and at most 1,000. Raises RequestError."""
    if asked < 0:
        raise invalid("OUT_OF_RANGE", f"{asked} is negative", "page_size")
    return min(asked or 100, 1_000)


def page_token(after: str) -> str:
    """An opaque token for the page after a key."""
    return base64.urlsafe_b64encode(after.encode()).decode()


def page_after(token: str) -> str:
    """The key a token stands for; empty for the first page. Raises RequestError."""
    if len(token) > _LONGEST_TOKEN:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this service", "page_token")
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this service", "page_token") from error


def page_number(token: str) -> int:
    """The number a token stands for; 0 for the first page. Raises RequestError."""
    after = page_after(token) or "0"
    if not after.isdecimal() or len(after) > _MAX_DIGITS:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token")
    return int(after)
