"""The keeper decides by likeness, shares of callers and bytes, and writes large inputs in parts."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.ledger import CollectionRecord, Ledger, sqlite_url
from glimpse.ledger.review.records import MAX_BATCH_BYTES
from glimpse.server.collections.collection import CollectionView
from glimpse.server.review.keeper import Keeper
from glimpse.server.review.kept_query import KeptQuery
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import types_pb2
from support.review import collection, now
from support.vector_collection import Array

D = 8
_times = itertools.count()


class Place:
    """A ledger with one collection, and a keeper."""

    def __init__(self, ledger: Ledger, max_bytes: int = 1 << 30, **policy: Any) -> None:
        self.ledger, self.keeper = ledger, Keeper(max_bytes)
        with ledger.begin() as writer:
            record: CollectionRecord = writer.create_collection(collection(f"c{next(_times)}", **policy))
        self.view = CollectionView(record)

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

    def counts(self) -> list[int]:
        """Returns the counts of the items that wait, oldest first."""
        return [item.count for item in self.ledger.review.waiting(self.view.record.id)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(sqlite_url(tmp_path)) as ledger:
        yield ledger


def units(count: int, dimension: int = D, seed: int = 0) -> Array:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_alike_queries_are_counted_as_by_comparing_each_with_each(ledger: Ledger) -> None:
    place = Place(ledger)
    centres = units(12)
    vectors = np.repeat(centres, 10, axis=0) + 0.05 * np.random.default_rng(1).normal(size=(120, D)).astype("f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.random.default_rng(2).shuffle(vectors)
    kept, counts = list[Array](), list[int]()
    for start in range(0, len(vectors), 17):
        batch = vectors[start : start + 17]
        place.keep(*map(place.query, batch))
        stored, new = list(kept), list[Array]()
        for vector in batch:
            # Items of earlier batches first, and the most alike one of them.
            cosines = [float(vector @ other) for other in stored]
            like = int(np.argmax(cosines)) if cosines and max(cosines) >= 0.98 else None
            if like is None:
                like = next((len(stored) + i for i, other in enumerate(new) if vector @ other >= 0.98), None)
            if like is None:
                new.append(vector)
                counts.append(1)
            else:
                counts[like] += 1
        kept += new
    assert len(kept) > 12
    assert place.counts() == counts


def test_one_key_holds_at_most_a_quarter(ledger: Ledger) -> None:
    place = Place(ledger, review_max_items=8)
    flood = units(40)
    place.keep(*(place.query(vector, caller="flood") for vector in flood[:20]))
    place.keep(*(place.query(vector, caller="flood") for vector in flood[20:]))
    assert len(place.counts()) == 2
    place.keep(*(place.query(vector, caller=f"other-{i}") for i, vector in enumerate(units(4, seed=3))))
    assert len(place.counts()) == 6
    owners = [item.caller for item in ledger.review.waiting(place.view.record.id)]
    assert owners.count("flood") == 2


def test_bytes_of_a_ledger_and_of_a_key_are_bounded(ledger: Ledger) -> None:
    place = Place(ledger, max_bytes=4_000)
    for i, vector in enumerate(units(12)):
        query = place.query(vector, caller="flood" if i < 6 else f"k{i}", content=bytes(500), keeps_content=True)
        place.keep(query)
    usage = {row.caller: row.bytes for row in ledger.review.usage()}
    assert usage["flood"] <= 1_000
    assert sum(usage.values()) <= 4_000
    assert len(place.counts()) == 7


def test_a_large_input_comes_in_parts_of_at_most_a_batch(ledger: Ledger) -> None:
    place = Place(ledger)
    content = np.random.default_rng(0).bytes(3_500_000)
    sizes = place.keep(place.query(units(1)[0], content=content, keeps_content=True, key=1.0))
    assert len(sizes) == 4
    assert max(sizes) <= MAX_BATCH_BYTES
    [item] = ledger.review.waiting(place.view.record.id)
    assert ledger.review.contents(place.view.record.id, [item.id], 1 << 30) == {item.id: content}


def test_an_item_that_left_the_queue_is_not_counted_again(ledger: Ledger) -> None:
    place = Place(ledger)
    vector = units(1)[0]
    place.keep(place.query(vector))
    ledger.review.purge(place.view.record.id)
    place.keep(place.query(vector))  # the keeper does not know yet
    place.keep(place.query(vector))
    assert place.counts() == [1]


def test_a_collection_without_a_policy_keeps_nothing(ledger: Ledger) -> None:
    place = Place(ledger, review_unknown=False)
    place.keep(place.query(units(1)[0]))
    assert place.counts() == []
