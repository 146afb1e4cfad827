"""Turns of the worker: one bounded batch each, nothing while a write waits, and no query lost to an item that left."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from glimpse.ledger import (
    Ledger,
    LedgerUnavailable,
    ResolutionKind,
    Resolve,
    ReviewAdded,
    ReviewBatch,
    ReviewQueue,
    sqlite_url,
)
from glimpse.server.telemetry import metrics
from glimpse.v1 import classification_service_pb2 as cls
from support.kept import Place, Turns, units


@pytest.fixture
async def turns(tmp_path: Path) -> AsyncIterator[Turns]:
    with Ledger.open(sqlite_url(tmp_path)) as ledger:
        turns = Turns(Place(ledger))
        yield turns
        await turns.worker.close()


def dropped(reason: str) -> float:
    return metrics.registry.get_sample_value("glimpse_review_dropped_total", {"reason": reason}) or 0


def resolve(turns: Turns, item_ids: list[str]) -> str:
    with turns.place.ledger.begin() as writer:
        resolved = writer.resolve_review(Resolve(turns.place.name, item_ids, ResolutionKind.SKIP))
    return str(resolved.resolution_id)  # type: ignore[union-attr]


async def test_a_query_like_an_item_that_was_resolved_is_a_new_item(turns: Turns) -> None:
    place, (first, second) = turns.place, units(2)
    turns.note([place.query(first, key=-2.0), place.query(second)])
    await turns.until_empty()
    [old, other] = place.items()
    resolve(turns, [old.id])
    turns.note([place.query(first, key=-1.0), place.query(second), place.query(first)])
    held = turns.inflight.held
    assert held
    assert await turns.until_empty() == 3, "the second turn decides again, and the third one writes the sample"
    assert turns.inflight.held == 0
    [kept, new] = place.items()
    assert (kept.id, kept.count) == (other.id, 2)
    assert (new.count, new.vector) == (2, first.tobytes())
    samples = place.ledger.review.samples(place.name)
    assert [sample.item_id for sample in samples] == [old.id, new.id]


async def test_a_query_like_an_item_that_has_expired_is_a_new_item(turns: Turns) -> None:
    place, [vector] = turns.place, units(1)
    turns.note([place.query(vector)])
    await turns.until_empty()
    [old] = place.items()
    with place.ledger._engine.begin() as connection:  # 30 days later
        connection.execute(text("UPDATE review_items SET expire_time = 1, delete_time = 1"))
    turns.note([place.query(vector)])
    await turns.until_empty()
    [new] = place.items()
    assert new.id != old.id


async def test_an_undone_resolution_and_its_likeness_both_wait(turns: Turns) -> None:
    place, [vector] = turns.place, units(1)
    turns.note([place.query(vector)])
    await turns.until_empty()
    resolution = resolve(turns, [place.items()[0].id])
    turns.note([place.query(vector)])
    await turns.until_empty()
    with place.ledger.begin() as writer:
        writer.undo_review(place.name, resolution)
    turns.note([place.query(vector)])
    await turns.until_empty()
    assert sorted(place.counts()) == [1, 2]


async def test_nothing_is_written_while_a_write_waits_and_what_does_not_fit_is_counted(turns: Turns) -> None:
    place, before = turns.place, dropped("busy")
    turns.writing = True
    large = [place.query(vector, content=bytes(1 << 20), fairness_key=str(i)) for i, vector in enumerate(units(64))]
    turns.note(large[:1])
    await turns.worker.turn()
    assert not place.items()
    turns.note(large[1:])
    assert dropped("busy") - before > 0
    turns.writing = False
    await turns.worker.turn()
    assert place.items()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns the bytes of the batches that are written from now on."""
    sizes, write = list[int](), ReviewQueue.add

    def add(self: ReviewQueue, batches: Sequence[ReviewBatch]) -> list[ReviewAdded]:
        sizes.append(sum(batch.size for batch in batches))
        return write(self, batches)

    monkeypatch.setattr(ReviewQueue, "add", add)
    return sizes


async def test_a_turn_writes_one_batch_of_at_most_a_mebibyte(turns: Turns, sizes: list[int]) -> None:
    place = turns.place
    contents = [bytes(np.random.default_rng(i).bytes(300_000)) for i in range(8)] + [bytes(2_500_000)]
    vectors = units(len(contents))
    turns.note([place.query(v, content=c, keeps_content=True) for v, c in zip(vectors, contents, strict=True)])
    assert await turns.until_empty() == len(sizes)
    assert max(sizes) <= 1 << 20
    kept = place.ledger.review.contents(place.name, [item.id for item in place.items()], 1 << 30)
    assert sorted(kept.values()) == sorted(contents)


async def test_batches_of_the_smallest_queries_are_bounded_too(turns: Turns, sizes: list[int]) -> None:
    """Each row counts for more than its few bytes."""
    place, space = Place(turns.place.ledger, review_max_items=100_000), f"sha256:{0:064}"
    fields = {"content": b"x", "keeps_content": True, "key": -1.0, "embedding_space": space}
    turns.note([place.query(vector, **fields) for vector in units(2_000)])
    await turns.until_empty()
    assert 700_000 < max(sizes) <= 1 << 20
    assert place.ledger.review.counts(place.name)[cls.DECISION_UNKNOWN] > 1_900


async def test_a_purge_leaves_the_half_written_input_of_another_collection(turns: Turns) -> None:
    place, other = turns.place, Place(turns.place.ledger)
    turns.note([other.query(units(1)[0], content=bytes(2_500_000), keeps_content=True)])
    await turns.worker.turn()
    await turns.worker.purge(place.name)
    await turns.until_empty()
    assert [item.content_bytes for item in other.items()] == [2_500_000]
    turns.note([other.query(units(2)[1], content=bytes(2_500_000), keeps_content=True)])
    await turns.worker.turn()
    await turns.worker.purge(other.name)
    await turns.until_empty()
    assert other.items() == []
    assert turns.inflight.held == 0


async def test_queries_that_the_ledger_does_not_take_are_counted(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    place, before = turns.place, dropped("ledger")

    def fail(*_: object) -> None:
        raise LedgerUnavailable("out of order")

    with monkeypatch.context() as patch:
        patch.setattr(type(place.ledger.review), "add", fail)
        turns.note([place.query(vector) for vector in units(3)])
        with pytest.raises(LedgerUnavailable):
            await turns.worker.turn()
    assert dropped("ledger") - before == 3
    assert turns.inflight.held == 0
    turns.note([place.query(vector) for vector in units(3)])
    await turns.until_empty()
    assert place.counts() == [1, 1, 1], "nothing is counted for items that were not written"
