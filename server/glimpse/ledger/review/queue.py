"""The review queue of a ledger: what waits, what is kept, and what is deleted. All calls block."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from glimpse.ledger.review.records import (
    ReviewActivity,
    ReviewAdded,
    ReviewBatch,
    ReviewDeleted,
    ReviewItem,
    ReviewResolution,
    ReviewSample,
    ReviewUsage,
)

_Opens = Callable[[], AbstractContextManager[Connection]]


class ReviewQueue:
    """The queue of every collection. Thread-safe. No call takes the ledger's head.

    Every method raises LedgerUnavailable if the database is unreachable.
    """

    def __init__(self, engine: Engine, reading: _Opens, writing: _Opens) -> None:
        self._engine, self._reading, self._writing = engine, reading, writing

    def add(self, batches: Sequence[ReviewBatch]) -> list[ReviewAdded]:
        """Adds to the queues of several collections in one transaction.

        An item whose parts are not all there is not added. Samples beyond the most are deleted, greatest keys first.

        Returns:
            The result of each batch.

        Raises:
            ValueError: the batches have more than 1 MiB together.
        """
        raise NotImplementedError

    def waiting(
        self, collection_id: str, *, after: int = 0, limit: int = 1_000, vectors: bool = False
    ) -> list[ReviewItem]:
        """Returns items that wait and have not expired, in the order of their sequence numbers.

        A number can become visible after a greater one; a caller that follows the queue must read it from the start.

        Args:
            collection_id: the collection.
            after: skip items up to this sequence number.
            limit: at most this many.
            vectors: also read the vectors.
        """
        raise NotImplementedError

    def items(self, collection_id: str, item_ids: Collection[str]) -> dict[str, ReviewItem]:
        """Returns items by id with their vectors, waiting or resolved. Those that do not exist are missing."""
        raise NotImplementedError

    def contents(self, collection_id: str, item_ids: Sequence[str], max_bytes: int) -> dict[str, bytes]:
        """Returns the kept inputs of items, in the order of the ids, while they have `max_bytes` or less together."""
        raise NotImplementedError

    def counts(self, collection_id: str) -> dict[int, int]:
        """Returns how many items wait, by decision."""
        raise NotImplementedError

    def usage(self) -> list[ReviewUsage]:
        """Returns what every caller's items take in every collection."""
        raise NotImplementedError

    def samples(self, collection_id: str) -> list[ReviewSample]:
        """Returns a collection's sample of queries, least keys first."""
        raise NotImplementedError

    def activity(self, collection_id: str, since: int) -> ReviewActivity:
        """Returns what happened since a time. Dropped items are counted by the hour, from the hour of that time."""
        raise NotImplementedError

    def resolution(self, collection_id: str, resolution_id: str) -> ReviewResolution | None:
        """Returns a resolution, or None."""
        raise NotImplementedError

    def of_other_spaces(
        self, collection_id: str, embedding_space: str, *, after: int = 0, limit: int = 100
    ) -> list[ReviewItem]:
        """Returns waiting items with a kept input whose vectors are not of this space; see `waiting`."""
        raise NotImplementedError

    def store_vectors(self, collection_id: str, embedding_space: str, vectors: Mapping[str, bytes]) -> int:
        """Stores vectors of another space for waiting items, by id. Returns how many still wait.

        Raises:
            ValueError: the vectors have more than 1 MiB.
        """
        raise NotImplementedError

    def delete_expired(self, now: int) -> ReviewDeleted:
        """Deletes what is due at a time, in transactions of bounded size, from the files too; see `erase`."""
        raise NotImplementedError

    def purge(self, collection_id: str) -> ReviewDeleted:
        """Deletes every item, input and sample of a collection, from the files too; see `erase`.

        Batches of other servers that are under way are waited for. Remove the review policy first: then nothing is
        added later.
        """
        raise NotImplementedError
