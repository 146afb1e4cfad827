"""Splits long lists of ids into batches that fit one query."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
# Every supported database accepts this many parameters in one query.
_BATCH = 10_000


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Yields the distinct items in order, in lists of at most 10,000."""
    once = list(dict.fromkeys(items))
    return (once[start : start + _BATCH] for start in range(0, len(once), _BATCH))
