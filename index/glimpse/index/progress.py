"""How far along a long call is."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

#: A title and how many steps there are → what is told how many more are done.
Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def silent(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Tells nobody."""
    yield lambda count: None
