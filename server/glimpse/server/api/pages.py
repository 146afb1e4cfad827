"""Pages of lists: each ends by a count, and by bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.message import Message

from glimpse.server.resource_names import page_size

T = TypeVar("T")
M = TypeVar("M", bound=Message)
# A page ends with the item that reaches this size. The largest item, a label with all its prompts, has 1 MiB, so that
# a page stays under the 4 MiB that gRPC clients take by default.
MAX_PAGE_BYTES = 2 << 20


@dataclass(slots=True)
class Page(Generic[T]):
    """One page. `more`: there are items after it."""

    most: int
    items: list[T] = field(default_factory=list)
    more: bool = False
    _bytes: int = 0

    def fill(self, items: Iterable[tuple[T, int]]) -> None:
        """Takes items with their sizes until the page is full; reads one more to know whether there is one."""
        for item, size in items:
            if len(self.items) >= self.most or self._bytes >= MAX_PAGE_BYTES:
                self.more = True
                return
            self.items.append(item)
            self._bytes += size


def page_of(messages: Iterable[M], asked: int) -> tuple[list[M], bool]:
    """The first page of a list of messages, and whether there are more. Raises RequestError."""
    page: Page[M] = Page(page_size(asked))
    page.fill((message, message.ByteSize()) for message in messages)
    return page.items, page.more
