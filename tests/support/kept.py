"""Queries that a keeper and a worker keep in a real ledger, without a server."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from glimpse.ledger import CollectionRecord, Ledger, ReviewItem
from glimpse.server.collections.collection import CollectionView
from glimpse.server.review.keeping.keeper import Keeper
from glimpse.server.review.keeping.kept_query import KeptQuery
from glimpse.server.review.keeping.recorder import Recorder
from glimpse.server.review.keeping.sampling import Sampling
from glimpse.server.review.keeping.worker import ReviewWorker
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import types_pb2
from support.review import collection, now
from support.vector_collection import Array

T = TypeVar("T")
D = 8
_numbers = itertools.count()


def units(count: int, dimension: int = D, seed: int = 0) -> Array:
    """Returns random vectors of length 1, `(count, dimension)`."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class Place:
    """A ledger with one collection, and a keeper."""

    def __init__(self, ledger: Ledger, max_bytes: int = 1 << 30, **policy: Any) -> None:
        self.ledger, self.keeper, self._policy = ledger, Keeper(max_bytes), policy
        self.name = f"c{next(_numbers)}"
        self.view = self.create()

    def create(self) -> CollectionView:
        """Creates the collection."""
        with self.ledger.begin() as writer:
            record: CollectionRecord = writer.create_collection(collection(self.name, **self._policy))
        return CollectionView(record)

    def create_again(self) -> None:
        """Deletes the collection and creates another one with its id."""
        with self.ledger.begin() as writer:
            writer.delete_collection(self.name)
        self.view = self.create()

    def query(self, vector: Array, **fields: Any) -> KeptQuery:
        """Returns a query with a vector, UNKNOWN and without input unless `fields` say otherwise."""
        values: dict[str, Any] = {
            "caller": "",
            "fairness_key": "x",
            "modality": types_pb2.MODALITY_IMAGE,
            "content": vector.tobytes(),
            "vector": vector.astype("<f4").tobytes(),
            "embedding_space": self.view.record.embedding_space,
            "decision": cls.DECISION_UNKNOWN,
            "label_id": "",
            "probability": 0.0,
            "uncertainty": 1.0,
            "domain": "",
            "time": now(),
            "is_item": True,
            "key": None,
            "weight": 1.0,
            "keeps_content": False,
        }
        return KeptQuery(self.view, **(values | fields))

    def keep(self, *queries: KeptQuery) -> list[int]:
        """Keeps queries, and returns the bytes of the batches."""
        sizes = []
        for batches in self.keeper.decide(self.ledger, queries, ()):
            sizes.append(sum(batch.size for batch in batches))
            self.keeper.write(self.ledger, batches)
        return sizes

    def items(self) -> list[ReviewItem]:
        """Returns the items that wait, oldest first."""
        return self.ledger.review.waiting(self.name, vectors=True)

    def counts(self) -> list[int]:
        """Returns their counts."""
        return [item.count for item in self.items()]


class Turns:
    """A worker whose turns a test takes. It reaches a ledger as a server's catalog does. Needs an event loop."""

    def __init__(self, place: Place) -> None:
        self.place, self.writing = place, False
        self.inflight, sampling = InflightLimiter(1 << 40), Sampling()
        self.recorder = Recorder(self.inflight, sampling)
        self.worker = ReviewWorker(self, self.recorder, sampling, place.keeper, self, self)  # type: ignore[arg-type]
        for task in self.worker._tasks:
            task.cancel()  # the test takes every turn

    async def read(self, query: Callable[[Ledger], T]) -> T:
        """Reads the ledger, as `Catalog.read`."""
        return query(self.place.ledger)

    async def advance(self, _: str) -> bool:
        """Embeds nothing again, as an ItemReembedder without work."""
        return False

    def note(self, queries: Sequence[KeptQuery]) -> None:
        """Puts queries into the buffer."""
        for query in queries:
            self.recorder._put(query)

    async def until_empty(self) -> int:
        """Takes turns until the buffer is empty; returns their number."""
        turns = 0
        while self.recorder or self.worker._lists:
            await self.worker.turn()
            turns += 1
            assert turns < 100, "a query comes back forever"
        return turns
