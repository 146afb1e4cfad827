"""A session: one browser that may use the console."""

from collections.abc import Awaitable, Callable

from glimpse.console.connection import Connection
from glimpse.console.content import ContentStore


class Session:
    """One browser, as the console knows it. Everything is in memory, and gone when the session ends."""

    def __init__(self, connection: Connection, *, signed_in: bool) -> None:
        """Starts a session.

        Args:
            connection: The connection with the key of this session.
            signed_in: Whether a person gave a key. False: the caller is anonymous.
        """
        self.connection = connection
        self.signed_in = signed_in
        self.content = ContentStore(connection.client)
        #: Whether pages are dark. None: as the system is.
        self.dark: bool | None = None
        self._pages: dict[str, Callable[[], Awaitable[None]]] = {}

    @property
    def in_use(self) -> bool:
        """True while a page is open."""
        return bool(self._pages)

    def open_page(self, page: str, close: Callable[[], Awaitable[None]]) -> None:
        """Notes an open page.

        Args:
            page: NiceGUI's id of the page.
            close: Ends the page.
        """
        self._pages[page] = close

    def forget_page(self, page: str) -> None:
        """Notes that a page was closed."""
        self._pages.pop(page, None)

    async def close(self) -> None:
        """Ends every open page, and forgets the key and the pictures."""
        for close in list(self._pages.values()):
            await close()
        self._pages.clear()
        self.content.clear()
        await self.connection.close()
