"""The keeper decides by likeness, shares of callers and bytes, and writes large inputs in parts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glimpse.ledger import Ledger, sqlite_url
from glimpse.ledger.review.records import MAX_BATCH_BYTES
from glimpse.server.review.keeping.queue_state import QueueState
from glimpse.v1 import classification_service_pb2 as cls
from support.kept import D, Place, units
from support.review import now
from support.vector_collection import Array


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(sqlite_url(tmp_path)) as ledger:
        yield ledger


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
    owners = [item.caller for item in ledger.review.waiting(place.name)]
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
    [item] = ledger.review.waiting(place.name)
    assert ledger.review.contents(place.name, [item.id], 1 << 30) == {item.id: content}


def test_an_item_that_left_the_queue_is_not_counted_again(ledger: Ledger) -> None:
    place = Place(ledger)
    vector = units(1)[0]
    place.keep(place.query(vector))
    ledger.review.purge(place.name)
    place.keep(place.query(vector))  # the keeper does not know yet
    place.keep(place.query(vector))
    assert place.counts() == [1]


def test_a_collection_without_a_policy_keeps_nothing(ledger: Ledger) -> None:
    place = Place(ledger, review_unknown=False)
    place.keep(place.query(units(1)[0]))
    assert place.counts() == []


def test_the_time_of_the_newest_query_is_that_of_its_own_item(ledger: Ledger) -> None:
    place, time = Place(ledger), now()
    first, second = units(2)
    place.keep(place.query(first, time=time), place.query(second, time=time))
    later = [(first, time + 3), (second, time + 5), (first, time + 4)]
    place.keep(*(place.query(vector, time=when) for vector, when in later))
    assert [(item.count, item.last_time) for item in place.items()] == [(3, time + 4), (2, time + 5)]


def test_queries_of_a_deleted_collection_do_not_come_into_one_with_its_id(ledger: Ledger) -> None:
    place = Place(ledger)
    first, second, third = units(3)
    place.keep(place.query(first, key=-1.0))
    late = place.query(second)
    place.create_again()
    place.keep(late)
    assert place.counts() == []
    place.keep(place.query(second), late, place.query(third))
    assert place.counts() == [1, 1], "the keeper does not know the items of the deleted collection"
    assert len(ledger.review.samples(place.name)) == 0


def test_an_item_that_another_server_embedded_again_is_compared_in_its_new_space(ledger: Ledger) -> None:
    place, (old, new) = Place(ledger), units(2)
    place.keep(place.query(old))
    state = QueueState(place.name)
    state.sync(ledger.review)
    [item] = place.items()
    assert state.same(item.embedding_space, old[None]) == [item.id]
    ledger.review.store_vectors(place.name, "new", {item.id: new.tobytes()})
    state._resync_at = 0.0  # half a minute later
    state.sync(ledger.review)
    assert state.same("new", new[None]) == [item.id]
    assert state.same(item.embedding_space, old[None]) == [None]


def test_no_item_makes_room_in_vain(ledger: Ledger) -> None:
    """Another collection has the bytes of the ledger."""
    other, place = Place(ledger), Place(ledger, max_bytes=4_000)
    other.keep(other.query(units(1)[0], content=bytes(3_000), keeps_content=True))
    place.keep(*(place.query(vector, decision=cls.DECISION_MATCH) for vector in units(9)))
    place.keep(place.query(units(1, seed=1)[0], content=bytes(2_000), keeps_content=True))
    assert [item.decision for item in place.items()] == [cls.DECISION_MATCH] * 9
    place.keep(place.query(units(1, seed=1)[0], content=bytes(800), keeps_content=True))
    decisions = [item.decision for item in place.items()]
    assert decisions == [cls.DECISION_MATCH] * (len(decisions) - 1) + [cls.DECISION_UNKNOWN]
    assert sum(row.bytes for row in ledger.review.usage()) <= 4_000


def test_a_queue_shrinks_to_a_lower_bound(ledger: Ledger) -> None:
    place = Place(ledger)
    vectors = units(300, 32)
    place.keep(*(place.query(vector, decision=cls.DECISION_MATCH) for vector in vectors[:200]))
    with ledger.begin() as writer:
        place.view.update_record(writer.update_collection(replace(place.view.record, review_max_items=10)))
    sizes = []
    for start in range(200, 300, 25):
        place.keep(*map(place.query, vectors[start : start + 25]))
        sizes.append(len(place.items()))
    assert sizes == [72, 10, 10, 10]
