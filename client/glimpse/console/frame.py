"""The frame around every page: header, navigation, progress, messages, and what happens when the server goes away."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from nicegui import Client, background_tasks, ui
from starlette.requests import Request

from glimpse.client import Caller, Collection, Unauthenticated
from glimpse.console.components import empty_state, heading
from glimpse.console.context import Context, Page
from glimpse.console.errors import error_panel
from glimpse.console.header import Header
from glimpse.console.pages import HOME, PAGES
from glimpse.console.progress import Progress
from glimpse.console.security.guard import SESSION
from glimpse.console.security.sockets import close_page
from glimpse.console.session import Session

_COLLECTION_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def add_pages() -> None:
    """Registers every page with NiceGUI."""
    for page in PAGES:
        _add(page, page.address())
        if page.of_collection:
            _add(page, page.address("{collection}"))
    _add(HOME, "/")


def _add(page: Page, address: str) -> None:
    async def show(request: Request, collection: str = "") -> None:
        session: Session = request.scope[SESSION]
        known = collection if _COLLECTION_ID.fullmatch(collection) else ""
        await Frame(page, session, known).run()

    ui.page(address, title=f"{page.title} – Glimpse")(show)


class Frame:
    """One open page with its frame."""

    def __init__(self, page: Page, session: Session, collection: str) -> None:
        """Adds the frame to the page that NiceGUI builds.

        Args:
            page: The page.
            session: The session of the browser.
            collection: Id of the collection in the address. Empty: none.
        """
        self._page = page
        self._session = session
        self._wanted = collection
        self._client: Client = ui.context.client
        self._header = Header(page, session)
        self._progress = Progress()
        self._banner = ui.element("div").classes("banner").props("role=alert")
        with ui.element("div").classes("page"):
            self._messages = ui.element("div").classes("messages")
            self._content = ui.element("div").classes("page-content")
        with self._content:
            heading(page.title)
        ui.skip_link("Skip to the page", target=self._content)
        self._filling = asyncio.Lock()
        self._filled = False

    async def run(self) -> None:
        """Fills the page when the browser is connected, and keeps it until the browser leaves."""
        self._client.on_exception(lambda error: self._show_error(error))
        self._session.open_page(self._client.id, partial(close_page, self._client.id))
        end_listening = self._session.connection.listen(self._server_answers)
        self._client.on_delete(partial(self._leave, end_listening))
        await self._client.connected()
        if not self._client.is_deleted:
            await self.fill()

    async def fill(self) -> None:
        """Fills the page again, with what the server has now."""
        async with self._filling:
            self._messages.clear()
            self._filled = False
            try:
                with self._progress.work("Loading"):
                    context = await self._read_context()
                    self._content.clear()
                    with self._content:
                        heading(self._page.title)
                        await self._show(context)
                self._filled = True
            except Exception as error:  # every error is shown
                self._show_error(error, retry=self.fill)

    async def _show(self, context: Context) -> None:
        if self._page.of_collection and context.collection is None and not self._page.optional:
            _choose_collection(self._page, context)
        else:
            await self._page.show(context)

    async def _read_context(self) -> Context:
        connection = self._session.connection
        caller: Caller = await connection.get_caller()
        listed = connection.client.list_collections(page_size=1000)
        collections: dict[str, Collection] = {one.id: one async for one in listed}
        collection = collections.get(self._wanted)
        if self._wanted and collection is None:
            collection = await connection.client.get_collection(self._wanted)  # its error says what is missing
        if collection is None and self._page.of_collection and len(collections) == 1:
            [collection] = collections.values()
        self._header.fill(caller, collections, collection)
        return Context(self._session, caller, collections, collection, PAGES, self._progress, self.fill)

    def _show_error(self, error: Exception, retry: Callable[[], Any] | None = None) -> None:
        if self._client.is_deleted or isinstance(error, asyncio.CancelledError):
            return
        if isinstance(error, Unauthenticated):
            self._client.open("/sign-in")
            return
        with self._messages:
            error_panel(error, retry)

    def _server_answers(self, answers: bool) -> None:
        """Says that the server went away. When it is back, a page that was not filled is filled."""
        if self._client.is_deleted:
            return
        self._banner.clear()
        if answers:
            if not self._filled:
                background_tasks.create(self.fill(), name="fill a page")
            return
        with self._banner:
            ui.label(f"The server at {self._session.connection.server} does not answer. Trying again …")

    def _leave(self, end_listening: Callable[[], Any]) -> None:
        end_listening()
        with suppress(RuntimeError):
            self._session.forget_page(self._client.id)


def _choose_collection(page: Page, context: Context) -> None:
    """Shows the collections to choose from, for a page that needs one."""
    if not context.collections:
        text = "This page shows a collection. Create one on the page Collections, and then come back."
        empty_state("There is no collection yet.", text, "Collections", lambda: context.open(HOME))
        return
    with empty_state("Which collection?", "This page shows one collection at a time."):
        for one in context.collections:
            ui.button(one, on_click=partial(context.open, page, one)).props("outline no-caps")
