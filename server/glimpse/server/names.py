"""Resource names and page tokens."""

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache

from glimpse.server.errors import invalid

# Of a sequence number in a page token: what fits 63 bits.
_MAX_DIGITS = 18


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


def parse_name(name: str, pattern: str, field: str) -> Sequence[str]:
    """The ids in a resource name; `pattern` is e.g. `collections/*/labels/*`. Raises RequestError."""
    if (ids := _ids(name, pattern)) is None:
        shape = pattern.replace("*", "{id}")
        raise invalid("INVALID_NAME", f"{name!r} is not a name of the form {shape}", field)
    return ids


# The same few names come with every call.
@lru_cache(4096)
def _ids(name: str, pattern: str) -> tuple[str, ...] | None:
    given, wanted = name.split("/"), pattern.split("/")
    if len(given) != len(wanted):
        return None
    pairs = list(zip(given, wanted, strict=True))
    if not all(part if want == "*" else part == want for part, want in pairs):
        return None
    return tuple(part for part, want in pairs if want == "*")


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
