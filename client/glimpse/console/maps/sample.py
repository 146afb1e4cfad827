"""Reads the examples of a collection through the API, and keeps a fair sample of a large one."""

import hashlib
import heapq
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from glimpse.client import Collection, Example
from glimpse.console.maps.projection import Floats

MAX_POINTS = 50_000
_PROGRESS_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """The examples that a map shows, in the order of the collection.

    Attributes:
        names: Full names.
        labels: Ids of their labels. Empty: a row of an index without a label.
        domains: Their domains. Empty: unknown.
        in_index: Whether each is a row of the attached index.
        vectors: Their vectors, of shape `(n, d)`.
        total: Number of examples that were read, from which the sample was drawn.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    domains: tuple[str, ...]
    in_index: tuple[bool, ...]
    vectors: Floats
    total: int


@dataclass(slots=True)
class _Drawn:
    most: int
    # The entry with the largest rank comes first, because heapq keeps the smallest.
    heap: list[tuple[int, int, Example]] = field(default_factory=list)

    def add(self, position: int, example: Example) -> None:
        entry = (-rank(example.name), -position, example)
        if len(self.heap) < self.most:
            heapq.heappush(self.heap, entry)
        elif entry[:2] > self.heap[0][:2]:
            heapq.heapreplace(self.heap, entry)


def rank(name: str) -> int:
    """Returns the rank of an example in the draw: a hash of its name, of 64 bits.

    The examples with the smallest ranks are a uniform sample. It stays the same when the collection grows, but for the
    examples that new ones replace.
    """
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


async def draw_sample(
    examples: AsyncIterator[Example], enrolled: int, advance: Callable[[int], None], most: int = MAX_POINTS
) -> Sample:
    """Reads all examples with their vectors, and keeps at most `most` of them.

    Args:
        examples: The examples with their vectors. Those of the attached index come last, as the API lists them.
        enrolled: Number of examples that are not rows of the index.
        advance: Called with the number of examples that were read, from time to time.
        most: Largest number of examples to keep.
    """
    drawn, total = _Drawn(most), 0
    async for example in examples:
        drawn.add(total, example)
        total += 1
        if total % _PROGRESS_EVERY == 0:
            advance(total)
    kept = sorted((-position, example) for _, position, example in drawn.heap) if drawn.heap else []
    return _sample_of(kept, enrolled, total)


def _sample_of(kept: list[tuple[int, Example]], enrolled: int, total: int) -> Sample:
    vectors = [example.vector.values for _, example in kept if example.vector is not None]
    return Sample(
        names=tuple(example.name for _, example in kept),
        labels=tuple(example.label for _, example in kept),
        domains=tuple(example.domain for _, example in kept),
        in_index=tuple(position >= enrolled for position, _ in kept),
        vectors=np.array(vectors, np.float32).reshape(len(kept), -1),
        total=total,
    )


def count_enrolled(collection: Collection) -> int:
    """Returns the number of examples of a collection that are not rows of its index."""
    index = collection.index
    return collection.example_count - (index.vector_count - index.deleted_count if index else 0)
