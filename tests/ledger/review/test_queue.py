"""Tests what the review queue keeps, counts and drops, in a real SQLite file and a real PostgreSQL."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from glimpse.ledger import (
    Ledger,
    ReviewActivity,
    ReviewBatch,
    ReviewContentPart,
    ReviewDeleted,
    ReviewRepeat,
    ReviewUsage,
    sqlite_url,
)
from glimpse.ledger.review.records import MAX_BATCH_BYTES, MAX_SAMPLES
from support.ledgers import Direct
from support.postgres import Postgres
from support.review import DAY, SPACE, collection, item, now, parts, sample, vector


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Direct]:
    with Direct.of(place) as ledger:
        ledger.create_collection(collection())
        yield ledger


def test_a_kept_query_is_read_as_it_was_written(ledger: Direct) -> None:
    kept = item("a", b"\0\xffpicture", domain="gärten", count=3, last_time=now())
    [added] = ledger.review.add([ReviewBatch("birds", [kept], parts("a", b"\0\xffpicture", 4))])
    assert (list(added.item_ids), list(added.missing), added.kept) == (["a"], [], True)
    [found] = ledger.review.waiting("birds", vectors=True)
    assert found.sequence > 0
    assert found == type(kept)(**{**{name: getattr(kept, name) for name in kept.__slots__}, "sequence": found.sequence})
    assert ledger.review.items("birds", ["a", "none"]) == {"a": found}
    assert ledger.review.waiting("birds")[0].vector == b""
    assert ledger.review.contents("birds", ["a", "none"], 100) == {"a": b"\0\xffpicture"}
    assert ledger.revision == 1, "a kept query makes no revision"


def test_an_item_appears_with_the_last_part_of_its_input(ledger: Direct) -> None:
    content = bytes(range(256)) * 20
    first, second, third = parts("a", content, 2_000)
    ledger.review.add([ReviewBatch("birds", parts=[first])])
    ledger.review.add([ReviewBatch("birds", parts=[second])])
    assert ledger.review.waiting("birds") == []
    [added] = ledger.review.add([ReviewBatch("birds", [item("a", content)])])
    assert list(added.item_ids) == [], "a part is missing"
    [added] = ledger.review.add([ReviewBatch("birds", [item("a", content)], [third])])
    assert list(added.item_ids) == ["a"]
    assert ledger.review.contents("birds", ["a"], len(content)) == {"a": content}


def test_contents_are_bounded_by_their_bytes(ledger: Direct) -> None:
    contents = {"a": b"a" * 60, "b": b"b" * 50, "c": b"c" * 40, "d": b""}
    added = [item(name, content) for name, content in contents.items()]
    ledger.review.add([ReviewBatch("birds", added, [one for n, c in contents.items() for one in parts(n, c)])])
    found = ledger.review.contents("birds", ["a", "b", "c", "d"], 100)
    assert found == {"a": contents["a"], "c": contents["c"]}, "those that still fit, in order"


def test_a_batch_over_a_mebibyte_is_refused(ledger: Direct) -> None:
    most = ReviewContentPart("a", 0, b"x" * (MAX_BATCH_BYTES - 1_024))
    ledger.review.add([ReviewBatch("birds", parts=[most])])
    with pytest.raises(ValueError, match="the most are 1,048,576"):
        ledger.review.add([ReviewBatch("birds", [item("a")], [ReviewContentPart("a", 1, b"x" * MAX_BATCH_BYTES)])])
    with pytest.raises(ValueError, match="of one collection"):
        ledger.review.add([ReviewBatch("birds"), ReviewBatch("birds")])


def test_repeats_count_and_removed_items_make_room(ledger: Direct) -> None:
    ledger.review.add([ReviewBatch("birds", [item("a"), item("b", b"bb", decision=2)], parts("b", b"bb"))])
    then = ledger.review.waiting("birds")[0].last_time
    repeats = [ReviewRepeat("a", 2, then + 5), ReviewRepeat("a", 1, then - 5), ReviewRepeat("b", 1, 0)]
    [added] = ledger.review.add([ReviewBatch("birds", [item("c")], repeats=repeats, removed=["b", "gone"])])
    assert (list(added.item_ids), list(added.missing)) == (["c"], ["b"])
    found = ledger.review.items("birds", "abc")
    assert (found["a"].count, found["a"].last_time) == (4, then + 5)
    assert found.keys() == {"a", "c"}
    assert ledger.review.contents("birds", ["b"], 100) == {}
    assert ledger.review.counts("birds") == {3: 2}
    assert ledger.review.activity("birds", now()) == ReviewActivity(resolved=0, dropped=1)


def test_nothing_is_kept_where_no_policy_keeps_queries(ledger: Direct) -> None:
    ledger.create_collection(collection("off", review_unknown=False))
    batches = [ReviewBatch(name, [item("a")], samples=[sample("s", 0.5)]) for name in ("off", "birds", "unknown")]
    assert [added.kept for added in ledger.review.add(batches)] == [False, True, False]
    assert [len(ledger.review.waiting(name)) for name in ("off", "birds")] == [0, 1]
    assert [len(ledger.review.samples(name)) for name in ("off", "birds")] == [0, 1]


def test_a_batch_of_a_deleted_collection_does_not_come_into_one_with_its_id(ledger: Direct) -> None:
    first = ledger.collection("birds").create_time
    ledger.delete_collection("birds")
    ledger.create_collection(collection())
    late = ReviewBatch("birds", [item("a")], samples=[sample("s", 0.5)], create_time=first)
    assert not ledger.review.add([late])[0].kept
    assert (ledger.review.usage(), ledger.review.samples("birds")) == ([], [])
    own = ReviewBatch("birds", [item("a")], create_time=ledger.collection("birds").create_time)
    assert ledger.review.add([own])[0].kept


def test_the_policy_is_part_of_the_collection(ledger: Direct) -> None:
    policy: dict[str, Any] = {
        "review_ambiguous": True,
        "review_match_rate": 0.25,
        "review_max_items": 7,
        "review_keep_days": 3,
    }
    ledger.update_collection(collection(content_readable=True, **policy))
    [change] = ledger.since(1).changes
    record = ledger.since(1).collections["birds"]
    assert change.kind == "update_collection"
    assert record.content_readable
    assert record.keeps_queries
    assert {name: getattr(record, name) for name in policy} == policy
    ledger.update_collection(collection(review_unknown=False))
    assert not ledger.collection("birds").keeps_queries


def test_usage_counts_inputs_and_vectors_by_caller(ledger: Direct) -> None:
    ledger.create_collection(collection("fish"))
    own = [item("a", b"12345"), item("b", caller="phone"), item("c")]
    ledger.review.add([ReviewBatch("birds", own, parts("a", b"12345")), ReviewBatch("fish", [item("a")])])
    usage = sorted(ledger.review.usage(), key=lambda one: (one.collection_id, one.caller))
    expected = [("birds", "camera", 2, 69), ("birds", "phone", 1, 32), ("fish", "camera", 1, 32)]
    assert usage == [ReviewUsage(*one) for one in expected]


def test_pages_follow_each_other(ledger: Direct) -> None:
    ledger.review.add([ReviewBatch("birds", [item(f"i{number}") for number in range(10)])])
    pages, after = [], 0
    while page := ledger.review.waiting("birds", after=after, limit=4):
        pages.append([one.id for one in page])
        after = page[-1].sequence
    assert pages == [[f"i{n}" for n in range(4)], [f"i{n}" for n in range(4, 8)], ["i8", "i9"]]


def test_the_sample_keeps_the_least_keys(ledger: Direct) -> None:
    names = [f"s{number:04}" for number in range(MAX_SAMPLES + 50)]
    for start in range(0, len(names), 1_000):
        some = [sample(name, -float(name[1:])) for name in names[start : start + 1_000]]
        ledger.review.add([ReviewBatch("birds", samples=some)])
    assert [one.id for one in ledger.review.samples("birds")] == names[:49:-1]


def test_what_is_due_is_deleted(ledger: Direct) -> None:
    time = now()
    some = [item("old", b"old", expire_time=time - 1), item("new", b"new", expire_time=time + 60_000_000)]
    samples = [sample("x", 0.1, expire_time=time - 1), sample("y", 0.2)]
    ledger.review.add([ReviewBatch("birds", some, [*parts("old", b"old"), *parts("new", b"new")], samples=samples)])
    assert [one.id for one in ledger.review.waiting("birds")] == ["new"], "an expired item no longer waits"
    assert ledger.review.items("birds", ["old", "new"]).keys() == {"new"}, "nor is it shown until it is deleted"
    [added] = ledger.review.add([ReviewBatch("birds", repeats=[ReviewRepeat("old", 1, time)])])
    assert list(added.missing) == ["old"], "nor does it stand for another query"
    assert ledger.review.delete_expired(now()) == ReviewDeleted(items=1, samples=1)
    assert ledger.review.items("birds", ["old", "new"]).keys() == {"new"}
    assert ledger.review.contents("birds", ["old", "new"], 100) == {"new": b"new"}
    assert [one.id for one in ledger.review.samples("birds")] == ["y"]
    assert ledger.review.activity("birds", time - DAY).dropped == 1
    assert ledger.review.delete_expired(now()) == ReviewDeleted(items=0, samples=0)


def test_many_due_items_are_deleted_in_transactions_of_bounded_size(ledger: Direct) -> None:
    for start in range(0, 1_200, 400):
        many = [item(f"i{number}", expire_time=1) for number in range(start, start + 400)]
        ledger.review.add([ReviewBatch("birds", many)])
    assert ledger.review.delete_expired(now()).items == 1_200
    assert ledger.review.activity("birds", 0).dropped == 1_200


def test_a_purge_deletes_the_queue_of_one_collection(ledger: Direct) -> None:
    ledger.create_collection(collection("fish"))
    own = [
        ReviewBatch(name, [item("a", b"aa")], parts("a", b"aa"), samples=[sample("s", 1)]) for name in ("birds", "fish")
    ]
    ledger.review.add(own)
    ledger.review.add([ReviewBatch("birds", parts=parts("lost", b"lost"))])
    assert ledger.review.purge("birds") == ReviewDeleted(items=1, samples=1)
    assert ledger.review.usage() == [ReviewUsage("fish", "camera", 1, 34)]
    engine = create_engine(ledger.url)
    with engine.connect() as connection:
        for table in ("items", "contents", "samples"):
            names = connection.scalars(text(f"SELECT collection_id FROM review_{table}")).all()
            assert names == ["fish"], table
    engine.dispose()


def test_vectors_of_another_space_are_replaced(ledger: Direct) -> None:
    some = [item("a", b"a", embedding_space="old"), item("b", embedding_space="old"), item("c", b"c")]
    ledger.review.add([ReviewBatch("birds", some, [*parts("a", b"a"), *parts("c", b"c")])])
    assert [one.id for one in ledger.review.of_other_spaces("birds", SPACE)] == ["a"], "those with an input"
    assert ledger.review.store_vectors("birds", SPACE, {"a": vector(77), "gone": vector(78)}) == 1
    assert ledger.review.of_other_spaces("birds", SPACE) == []
    found = ledger.review.items("birds", ["a"])["a"]
    assert (found.vector, found.embedding_space) == (vector(77), SPACE)
    with pytest.raises(ValueError, match="the most are"):
        ledger.review.store_vectors("birds", SPACE, {"a": b"x" * (MAX_BATCH_BYTES + 1)})


def test_parts_of_a_server_that_stopped_are_deleted_at_the_next_start(tmp_path: Path) -> None:
    with Direct.of(tmp_path) as ledger:
        ledger.create_collection(collection())
        whole = ReviewBatch("birds", [item("a", b"whole")], [*parts("a", b"whole"), *parts("b", b"half")])
        ledger.review.add([whole])
        assert ledger.review.delete_lost_parts() == 0, "another server may be writing them"
    with Ledger.open(sqlite_url(tmp_path), exclusive=True) as again:
        assert again.review.contents("birds", ["a"], 10) == {"a": b"whole"}
        assert again.review.delete_lost_parts(all_of_them=True) == 0
    assert b"half" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_a_batch_is_committed_while_another_connection_holds_the_head(server: Postgres) -> None:
    with Direct.of(server.database()) as ledger, Direct.of(ledger.url) as other:
        ledger.create_collection(collection())
        with other.begin() as writer:
            writer.update_collection(collection(display_name="Birds"))  # holds the collection's row too
            ledger.review.add([ReviewBatch("birds", [item("a")], repeats=[ReviewRepeat("x", 1, 1)])])
            assert [one.id for one in other.review.waiting("birds")] == ["a"]
        assert ledger.collection("birds").display_name == "Birds"


def test_a_purge_waits_for_the_batches_of_others(server: Postgres) -> None:
    """A batch that read the policy before it was removed is deleted too."""
    with Direct.of(server.database()) as ledger:
        ledger.create_collection(collection())
        engine = create_engine(ledger.url)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM collections WHERE id = 'birds' FOR KEY SHARE"))
            ledger.update_collection(collection(review_unknown=False))
            done = threading.Event()

            def work() -> None:
                ledger.review.purge("birds")
                done.set()

            purge = threading.Thread(target=work)
            purge.start()
            assert not done.wait(0.2)
            connection.rollback()
        purge.join(30)
        assert done.is_set()
        engine.dispose()
        [added] = ledger.review.add([ReviewBatch("birds", [item("b")])])
        assert not added.kept


def test_a_collection_is_deleted_while_a_batch_is_written(server: Postgres) -> None:
    """Both lock the collection before its items."""
    with Direct.of(server.database()) as ledger:
        ledger.create_collection(collection())
        ledger.review.add([ReviewBatch("birds", [item("a")])])
        engine = create_engine(ledger.url)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM collections WHERE id = 'birds' FOR KEY SHARE"))
            deletion = threading.Thread(target=lambda: ledger.delete_collection("birds"))
            deletion.start()
            deletion.join(0.2)
            assert deletion.is_alive()
            connection.execute(text("SET LOCAL lock_timeout = 20000"))
            connection.execute(text("UPDATE review_items SET count = 2"))
            connection.commit()
        deletion.join(30)
        engine.dispose()
        assert (ledger.collections(), ledger.review.usage()) == ([], [])
