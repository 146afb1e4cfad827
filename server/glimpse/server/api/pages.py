"""Pages of lists, limited in items and in bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.protobuf.message import Message

from glimpse.server.resource_names import page_size

T = TypeVar("T")
M = TypeVar("M", bound=Message)
# A page ends with the item that reaches this size. The largest item, a label with all its prompts, has 1 MiB, so a page
# stays below the 4 MiB that gRPC clients accept by default.
MAX_PAGE_BYTES = 2 << 20


@dataclass(slots=True)
class Page(Generic[T]):
    """One page of at most `most` items. `more` says whether there are items after it."""

    most: int
    items: list[T] = field(default_factory=list)
    more: bool = False
    _bytes: int = 0

    def fill(self, items: Iterable[tuple[T, int]]) -> None:
        """Adds items until the page is full, and reads one more to set `more`.

        Args:
            items: The items, each with its size in bytes.
        """
        for item, size in items:
            if len(self.items) >= self.most or self._bytes >= MAX_PAGE_BYTES:
                self.more = True
                return
            self.items.append(item)
            self._bytes += size


def page_of(messages: Iterable[M], requested: int) -> tuple[list[M], bool]:
    """Returns the first page of a list of messages, and whether there are more.

    Args:
        messages: The messages, from the first of the page on.
        requested: The page_size of the request; 0 means the default.

    Raises:
        RequestError: The page size is negative.
    """
    page: Page[M] = Page(page_size(requested))
    page.fill((message, message.ByteSize()) for message in messages)
    return page.items, page.more
