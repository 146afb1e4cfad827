"""Follows a collection's queue, as far as a decision about a new query needs it."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.ledger import ReviewItem, ReviewQueue
from glimpse.v1 import classification_service_pb2 as pb

#: From this cosine on, a query is counted for the item that it is like.
SAME = 0.98
#: Decisions, the least uncertain first.
ORDER = (pb.DECISION_MATCH, pb.DECISION_AMBIGUOUS, pb.DECISION_UNKNOWN)
# The bytes of vectors that new queries of a collection are compared with. Further items are compared with no query.
_MAX_VECTOR_BYTES = 64 << 20
# Rows read at a time; seconds between two reads of the whole queue, and how often longer than the read it must be.
_READ, _RESYNC_SECONDS, _REST = 1_000, 30.0, 20.0


@dataclass(frozen=True, slots=True)
class _Entry:
    embedding_space: str
    decision: int
    caller: str
    size: int


class _Vectors:
    """Vectors of one embedding space by item id."""

    def __init__(self, dimension: int) -> None:
        self._rows = np.zeros((64, dimension), np.float32)
        self._ids: list[str | None] = []
        self._slots: dict[str, int] = {}
        self._free: list[int] = []

    def add(self, item_id: str, vector: Array) -> None:
        if not self._free and len(self._ids) == len(self._rows):
            if 2 * self._rows.nbytes > _MAX_VECTOR_BYTES:
                return
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        if not self._free:
            self._free.append(len(self._ids))
            self._ids.append(None)
        slot = self._free.pop()
        self._rows[slot], self._ids[slot], self._slots[item_id] = vector, item_id, slot

    def remove(self, item_id: str) -> None:
        slot = self._slots.pop(item_id, None)
        if slot is not None:
            self._rows[slot], self._ids[slot] = 0.0, None
            self._free.append(slot)

    def same(self, queries: Array) -> list[str | None]:
        """Returns the item that each query, `(n, d)`, is like; None if there is none."""
        if not self._slots:
            return [None] * len(queries)
        cosines = queries @ self._rows[: len(self._ids)].T  # (n, items)
        best = cosines.argmax(1)
        return [self._ids[place] if cosines[row, place] >= SAME else None for row, place in enumerate(best.tolist())]


class QueueState:
    """The waiting items of one collection. Not thread-safe; every method blocks."""

    def __init__(self, collection_id: str) -> None:
        self._collection_id = collection_id
        self.entries: dict[str, _Entry] = {}
        self.of_callers: Counter[str] = Counter()
        #: The keys of the stored sample.
        self.sample_keys: list[float] = []
        self._of_decisions: dict[int, dict[str, None]] = {decision: {} for decision in ORDER}
        self._vectors: dict[str, _Vectors] = {}
        self._last_sequence, self._resync_at = 0, 0.0

    def sync(self, queue: ReviewQueue) -> None:
        """Reads what was added since the last call, by any server, and from time to time what has left the queue."""
        started = time.monotonic()
        if started >= self._resync_at:
            self._sync_all(queue)
            self._resync_at = time.monotonic() + max(_RESYNC_SECONDS, _REST * (time.monotonic() - started))
        while items := queue.waiting(self._collection_id, after=self._last_sequence, limit=_READ, vectors=True):
            self._put_all(items)

    def _sync_all(self, queue: ReviewQueue) -> None:
        live: dict[str, str] = {}
        after = 0
        while items := queue.waiting(self._collection_id, after=after, limit=_READ):
            after = items[-1].sequence
            live.update((item.id, item.embedding_space) for item in items)
        for item_id, entry in list(self.entries.items()):
            if live.get(item_id) != entry.embedding_space:  # it has left the queue, or was embedded again
                self.remove(item_id)
        missing = sorted(live.keys() - self.entries.keys())  # also those that an undo has brought back
        for start in range(0, len(missing), _READ):
            found = queue.items(self._collection_id, missing[start : start + _READ])
            self._put_all(sorted(found.values(), key=lambda item: item.sequence))
        self.sample_keys = [sample.key for sample in queue.samples(self._collection_id)]

    def _put_all(self, items: list[ReviewItem]) -> None:
        for item in items:
            self.put(item)
            self._last_sequence = max(self._last_sequence, item.sequence)

    def put(self, item: ReviewItem) -> None:
        """Adds an item, unless it is known."""
        if item.id in self.entries:
            return
        size = len(item.vector) + item.content_bytes
        self.entries[item.id] = _Entry(item.embedding_space, item.decision, item.caller, size)
        self._of_decisions.setdefault(item.decision, {})[item.id] = None
        self.of_callers[item.caller] += 1
        vector = np.frombuffer(item.vector, "<f4")
        self._vectors.setdefault(item.embedding_space, _Vectors(len(vector))).add(item.id, vector)

    def remove(self, item_id: str) -> None:
        """Removes an item, if it is known."""
        if (entry := self.entries.pop(item_id, None)) is None:
            return
        self._of_decisions[entry.decision].pop(item_id, None)
        self.of_callers[entry.caller] -= 1
        for vectors in self._vectors.values():
            vectors.remove(item_id)

    def same(self, embedding_space: str, queries: Array) -> list[str | None]:
        """Returns the item that each query, `(n, d)`, is within cosine 0.98 of; None if there is none."""
        vectors = self._vectors.get(embedding_space)
        return vectors.same(queries) if vectors else [None] * len(queries)

    def less_uncertain(self, than: int) -> Iterator[str]:
        """Yields the items of less uncertain decisions: those of the least uncertain one first, the newest first."""
        for decision in ORDER[: ORDER.index(than)]:
            yield from reversed(self._of_decisions[decision])
