"""Progress of a long call."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

#: Takes a title and the total number of steps; the context returns a function to call with the number of finished
#: steps.
Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def silent(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Reports no progress."""
    yield lambda count: None
