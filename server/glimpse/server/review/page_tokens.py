"""Page tokens of the review lists. A token holds the rest of its list.

The order of such a list cannot be computed again: it depends on the items that waited and on the examples of that
moment. A token with the rest is valid on every server of the ledger, and after a restart, and no server has to remember
a list. It has about 14 bytes for each item that is left: 14 KB for the usual 1,000.

A token is not signed. It names items, and every page reads them from the collection that the call may read.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Sequence

from glimpse.server.errors import invalid

#: A token is valid for this long after the first page, in microseconds.
LIFETIME = 600_000_000
# The most characters of a token, and bytes of its content: more than a list of 100,000 groups of one item has.
_MAX_TOKEN, _MAX_CONTENT = 4 << 20, 16 << 20
_START = re.compile(r"\d{1,18}")


def pack(scope: str, start: int, lines: Iterable[str]) -> str:
    """Returns the token of a list's next page.

    Args:
        scope: One line that names the list.
        start: When the first page was made, in microseconds since the epoch.
        lines: The rest of the list.
    """
    content = "\n".join((scope, str(start), *lines)).encode()
    return base64.urlsafe_b64encode(zlib.compress(content, 1)).decode()


def unpack(token: str, scope: str, line: "re.Pattern[str]", now: int) -> tuple[int, Sequence[str]]:
    """Returns when the first page of a token's list was made, and the rest of the list.

    Args:
        token: The token.
        scope: The line that names the list.
        line: The form of the other lines.
        now: Microseconds since the epoch.

    Raises:
        RequestError: The token is of another list, or older than ten minutes.
    """
    found, _, rest = _content(token).partition("\n")
    start, *lines = rest.split("\n")
    if not _START.fullmatch(start) or not all(map(line.fullmatch, lines)):
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token")
    if found != scope:
        raise invalid("INVALID_PAGE_TOKEN", "this page token is of another list", "page_token")
    if now - int(start) > LIFETIME:
        message = "this page token is older than ten minutes; start from the first page"
        raise invalid("PAGE_TOKEN_EXPIRED", message, "page_token")
    return int(start), lines


def _content(token: str) -> str:
    if len(token) > _MAX_TOKEN:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token")
    try:
        packed = base64.b64decode(token, altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, _MAX_CONTENT)
        if not unpacker.eof:
            raise ValueError("too long or cut off")
        return content.decode("ascii")
    except (binascii.Error, zlib.error, ValueError) as error:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token") from error
