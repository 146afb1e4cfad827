"""Many names in queries of some."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
# Databases take so many parameters.
_ASKED = 10_000


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """All of them once, in order, so many at a time."""
    once = list(dict.fromkeys(items))
    return (once[start : start + _ASKED] for start in range(0, len(once), _ASKED))
