"""The pages, in the order of the navigation. A new page is one module here, and one line below."""

from glimpse.client import Scope
from glimpse.console.context import Page
from glimpse.console.pages import ask, backbones, collections, server, teach
from glimpse.console.pages.health import page as health
from glimpse.console.pages.map import page as map_page
from glimpse.console.pages.review import page as review

HOME = Page("collections", "Collections", collections.page, of_collection=False)
PAGES: tuple[Page, ...] = (
    HOME,
    Page("teach", "Teach", teach.page, scope=Scope.ENROLL),
    Page("ask", "Ask", ask.page, optional=True, scope=Scope.CLASSIFY),
    Page("review", "Review", review.page, scope=Scope.ENROLL),
    Page("health", "Health", health.page),
    Page("map", "Map", map_page.page),
    Page("backbones", "Backbones", backbones.page),
    Page("server", "Server", server.page, of_collection=False),
)
