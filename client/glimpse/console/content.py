"""Pictures of a session, by random handles.

An address of a picture is `/content/HANDLE`. It names no example and no collection, and works in its own session
alone. Originals come from the server as the scopes of the session's key allow.
"""

import secrets
from collections import OrderedDict
from collections.abc import Hashable

from glimpse.client import AsyncClient, GlimpseError, KeptInput
from glimpse.console.originals import Originals, Source

THUMBNAIL = 192
"""Largest side of a picture in a list, in pixels."""

_MAX_BYTES = 64 * 1024 * 1024
_MAX_HANDLES = 50_000
_HANDLE_BYTES = 16
# The first bytes of the formats that browsers show. Nothing else is sent as a picture.
_FORMATS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


def picture_type(content: bytes) -> str:
    """Returns the media type of an encoded picture. Empty: a browser would not show it."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return next((kind for start, kind in _FORMATS if content.startswith(start)), "")


class ContentStore:
    """Thumbnails and uploads of one session, in memory while there is room."""

    def __init__(self, client: AsyncClient) -> None:
        self._originals = Originals(client)
        self._handles: OrderedDict[str, Hashable] = OrderedDict()
        self._known: dict[Hashable, str] = {}
        self._bytes: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0

    def put(self, picture: bytes) -> str:
        """Keeps an upload, and returns the address of it."""
        key = object()
        self._remember(key, picture)
        return self._address(key)

    def address_of(self, name: str, size: int = THUMBNAIL) -> str:
        """Returns the address of the thumbnail of an example or a review item."""
        return self._address(Source(name, size))

    async def load(self, name: str, size: int = THUMBNAIL) -> KeptInput:
        """Returns the original of an example or a review item, or a thumbnail of it.

        Args:
            name: Full name of the example or the review item.
            size: Largest side of a thumbnail in pixels, 16 to 512. 0: the original.

        Returns:
            The content, or the reason why there is none.

        Raises:
            GlimpseError: If the request fails.
        """
        source = Source(name, size)
        kept = await self._originals.load(source)
        if isinstance(kept.content, bytes):
            self._remember(source, kept.content)
        return kept

    async def read(self, handle: str) -> bytes | None:
        """Returns the bytes of a picture. None: the handle is unknown, or there is no picture."""
        key = self._handles.get(handle)
        if key in self._bytes:
            self._bytes.move_to_end(key)
            return self._bytes[key]
        if not isinstance(key, Source):
            return None
        try:
            kept = await self.load(key.name, key.size)
        except GlimpseError:
            return None
        return kept.content if isinstance(kept.content, bytes) else None

    def clear(self) -> None:
        """Forgets everything."""
        self._handles.clear()
        self._known.clear()
        self._bytes.clear()
        self._size = 0

    def _address(self, key: Hashable) -> str:
        if key not in self._known:
            handle = secrets.token_urlsafe(_HANDLE_BYTES)
            self._known[key], self._handles[handle] = handle, key
            if len(self._handles) > _MAX_HANDLES:
                _, oldest = self._handles.popitem(last=False)
                del self._known[oldest]
        return f"/content/{self._known[key]}"

    def _remember(self, key: Hashable, content: bytes) -> None:
        self._size += len(content) - len(self._bytes.pop(key, b""))
        self._bytes[key] = content
        while self._size > _MAX_BYTES and len(self._bytes) > 1:
            _, oldest = self._bytes.popitem(last=False)
            self._size -= len(oldest)
