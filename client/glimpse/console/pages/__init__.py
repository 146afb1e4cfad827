"""The pages, in the order of the navigation. A new page is one module here, and one line below."""

from glimpse.console.context import Page
from glimpse.console.pages import backbones, collections, server
from glimpse.console.pages.map import page as map_page

HOME = Page("collections", "Collections", collections.page, of_collection=False)
PAGES: tuple[Page, ...] = (
    HOME,
    Page("map", "Map", map_page.page),
    Page("backbones", "Backbones", backbones.page),
    Page("server", "Server", server.page, of_collection=False),
)
