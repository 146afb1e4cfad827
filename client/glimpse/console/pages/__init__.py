"""The pages, in the order of the navigation. A new page is one module here, and one line below."""

from glimpse.console.context import Page
from glimpse.console.pages import collections, server

HOME = Page("collections", "Collections", collections.page, of_collection=False)
PAGES: tuple[Page, ...] = (
    HOME,
    Page("server", "Server", server.page, of_collection=False),
)
