"""The context of an open page."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

from nicegui import run, ui

from glimpse.client import AsyncClient, Caller, Collection, Scope
from glimpse.console.progress import Progress, Work
from glimpse.console.session import Session

#: The time limit of a call that measures a collection, which takes seconds for thousands of examples.
REPORT_SECONDS = 300.0
P = ParamSpec("P")
R = TypeVar("R")


class Show(Protocol):
    """A function that fills a page."""

    def __call__(self, context: "Context", /) -> Awaitable[None]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the console.

    Attributes:
        path: Its part of the address, for example `teach`.
        title: Its name in the navigation, and its heading.
        show: The function that fills it.
        of_collection: Whether it shows a collection. The address then ends with the collection's id.
        optional: Whether it is of use without a collection too.
        scope: The scope that the page needs to be of use. Without it the navigation leaves the page out.
    """

    path: str
    title: str
    show: Show
    of_collection: bool = True
    optional: bool = False
    scope: Scope = Scope.READ

    def address(self, collection: str = "") -> str:
        """Returns the address of the page, for one collection."""
        return f"/{self.path}/{collection}" if self.of_collection and collection else f"/{self.path}"


@dataclass(slots=True)
class Context:
    """One open page.

    Attributes:
        session: The session of the browser.
        caller: Name and scopes of the session's key.
        collections: The collections that the caller may read, by id.
        collection: The collection that the page shows. None: the page shows none.
        pages: The pages of the console.
        progress: The bar at the top of the page.
        reload: Fills the page again, with what the server has now.
    """

    session: Session
    caller: Caller
    collections: dict[str, Collection]
    collection: Collection | None
    pages: tuple[Page, ...]
    progress: Progress
    reload: Callable[[], Awaitable[None]]

    @property
    def client(self) -> AsyncClient:
        """The client of the session. Its errors need no handler: the frame shows them."""
        return self.session.connection.client

    def may(self, scope: Scope, collection: Collection | None = None) -> bool:
        """Returns whether the caller has a scope for a collection.

        Args:
            scope: The scope.
            collection: The collection. None: the one that the page shows, or else every collection.
        """
        place = collection or self.collection
        return (self.caller.scope_of(place) if place else self.caller.scope) >= scope

    @contextmanager
    def busy(self, text: str) -> Iterator[Work]:
        """Shows progress while a block runs. It appears after 0.4 seconds.

        Args:
            text: What happens, for people: `Reading the report`.

        Yields:
            The work. `work.advance(done, total)` shows how far it is.
        """
        with self.progress.work(text) as work:
            yield work

    async def compute(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs a function of a module in another process, and returns its result.

        Args:
            function: The function. It, its arguments and its result must be picklable.
            args: Its arguments.
            kwargs: Its named arguments.
        """
        result: Any = await run.cpu_bound(function, *args, **kwargs)
        return result  # type: ignore[no-any-return]

    def open(self, page: Page, collection: str = "") -> None:
        """Opens another page.

        Args:
            page: The page.
            collection: Id of the collection. Empty: the one that this page shows.
        """
        ui.navigate.to(page.address(collection or (self.collection.id if self.collection else "")))
