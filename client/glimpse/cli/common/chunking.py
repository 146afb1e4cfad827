"""Splits inputs into the lists that one call sends."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
#: Inputs per call: enough to fill a server's batch, few enough to show progress.
BATCH_SIZE = 32


def batched(items: Iterable[T], size: int = BATCH_SIZE) -> Iterator[Sequence[T]]:
    """Yields lists of at most `size` items. Reads `items` only as far as needed."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
