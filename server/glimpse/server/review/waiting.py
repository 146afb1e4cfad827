"""Reads the items that wait, with the vectors of as many as the memory of one call allows."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.ledger import Ledger, ReviewItem

# Rows read at a time.
_READ = 1_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """The items that wait in a collection.

    Attributes:
        known: Those with vectors of the collection's space, oldest first.
        rest: The others: of other spaces, or more than a call compares; without vectors.
    """

    known: list[ReviewItem]
    rest: list[ReviewItem]

    @property
    def vectors(self) -> Array:
        """The vectors of the known items, `(n, d)`."""
        return np.stack([np.frombuffer(item.vector, "<f4") for item in self.known])

    @property
    def last_sequence(self) -> int:
        """The greatest sequence number; 0 without items."""
        return max((item.sequence for item in (*self.known[-1:], *self.rest[-1:])), default=0)


def read_waiting(ledger: Ledger, collection_id: str, space: str, most: int, decisions: Collection[int] = ()) -> Waiting:
    """Reads the items that wait.

    Args:
        ledger: The ledger.
        collection_id: The collection.
        space: Its embedding space.
        most: The most vectors.
        decisions: Only items with these decisions; empty means all.
    """
    waiting, after = Waiting([], []), 0
    while True:
        vectors = len(waiting.known) < most
        items = ledger.review.waiting(collection_id, after=after, limit=_READ, vectors=vectors)
        if not items:
            return waiting
        after = items[-1].sequence
        for item in items:
            if not decisions or item.decision in decisions:
                (waiting.known if vectors and item.embedding_space == space else waiting.rest).append(item)
