"""Tests that the sequence of changes has no gaps and follows the order of commits, for any writers and readers."""

import itertools
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from glimpse.ledger import (
    CollectionRecord,
    Enrolled,
    Enrollment,
    EnrollRequest,
    ExampleRecord,
    LabelRecord,
    Ledger,
    LedgerError,
    NotFound,
    RequestIdReused,
    sqlite_url,
)
from glimpse.ledger.changes.hash_chain import FIRST, link
from glimpse.ledger.database.database import _make_durable_sqlite
from glimpse.ledger.database.transactions import now_microseconds

_WRITERS, _EACH = 4, 25


@pytest.fixture
def url(place: Path | str) -> str:
    return place if isinstance(place, str) else sqlite_url(place)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as ledger:
        with ledger.begin() as writer:
            writer.create_collection(CollectionRecord("birds", "backbones/b", "space", 2))
            writer.create_label("birds", LabelRecord("robin"))
        yield ledger


def example(name: str, label: str = "robin", digest: str = "") -> ExampleRecord:
    return ExampleRecord(name, label, digest or f"sha256:{name}", 1, b"\0" * 8)


def enrollment(*examples: ExampleRecord, request: EnrollRequest | None = None) -> Enrollment:
    return Enrollment("birds", [], examples, request, "somebody")


def enroll(ledger: Ledger, *several: Enrollment) -> list[Enrolled | bytes | LedgerError]:
    with ledger.begin() as writer:
        return writer.enroll(several)


def test_a_reader_never_sees_a_later_change_before_an_earlier_one(ledger: Ledger, url: str) -> None:
    """PostgreSQL numbers rows before the commit: a reader that continues from the last number would miss some."""
    first, seen, done = ledger.head().revision, list[int](), threading.Event()

    def read() -> None:
        with Ledger.open(url) as reader:
            while not done.is_set() or reader.head().revision > first + len(seen):
                seen.extend(change.revision for change in reader.since(first + len(seen)).changes)

    def write(number: int) -> list[int]:
        with Ledger.open(url) as own:
            made = []
            for count in range(_EACH):
                [enrolled] = enroll(own, enrollment(example(f"{number}-{count}")))
                assert isinstance(enrolled, Enrolled)
                made.append(enrolled.revision)
            return made

    with ThreadPoolExecutor(_WRITERS + 1) as threads:
        consistent_read = threads.submit(read)
        made = list(itertools.chain(*threads.map(write, range(_WRITERS))))
        done.set()
        consistent_read.result()
    wanted = list(range(first + 1, first + 1 + _WRITERS * _EACH))
    assert sorted(made) == wanted
    assert seen == wanted
    sequences = [one.sequence for one in ledger.examples("birds")]
    assert sequences == list(range(1, 1 + _WRITERS * _EACH))


def test_servers_that_start_at_once_make_one_ledger(url: str) -> None:
    together = Barrier(8)

    def start(_: int) -> str:
        together.wait()
        with Ledger.open(url) as own:
            return own.head().ledger_id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(start, range(8)))) == 1


def test_connections_that_switch_a_sqlite_file_to_wal_at_once_wait_for_each_other(tmp_path: Path) -> None:
    # SQLite itself refuses about one in fifty of these at once, whatever its busy timeout is.
    together = Barrier(8)

    def switch(file: Path) -> str:
        with closing(sqlite3.connect(file)) as connection:
            together.wait()
            _make_durable_sqlite(connection, None)
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    with ThreadPoolExecutor(8) as threads:
        for number in range(50):
            modes = threads.map(switch, [tmp_path / f"{number}.sqlite"] * 8)
            assert set(modes) == {"wal"}


def test_each_change_is_linked_to_the_one_before(ledger: Ledger) -> None:
    enroll(ledger, enrollment(example("a")), enrollment(example("b")))
    before = FIRST
    for change in ledger.changes():
        before = link(
            before,
            change.revision,
            change.kind,
            change.collection_id,
            change.subject,
            change.time,
            change.actor,
        )
        assert change.digest == before
    assert ledger.head().digest == before
    assert [change.actor for change in ledger.changes()] == ["", "", "somebody", "somebody"]


def test_enrolments_of_one_transaction_are_answered_each_by_itself(ledger: Ledger) -> None:
    good, lost, twin, elsewhere = enroll(
        ledger,
        enrollment(example("a", digest="same")),
        enrollment(example("b"), example("c", "nobody")),
        enrollment(example("d", digest="same")),
        replace(enrollment(example("e")), collection_id="fish"),
    )
    assert isinstance(good, Enrolled)
    assert isinstance(lost, NotFound)
    assert isinstance(elsewhere, NotFound)
    assert isinstance(twin, Enrolled)
    assert (twin.examples[0].id, twin.duplicates, twin.revision) == ("a", [True], good.revision)
    assert [one.id for one in ledger.examples("birds")] == ["a"]
    assert ledger.head().revision == good.revision


def test_a_request_sent_twice_at_once_is_done_once(ledger: Ledger) -> None:
    request = EnrollRequest("r", "digest", lambda enrolled: str(enrolled.revision).encode())
    first, again, other = enroll(
        ledger,
        enrollment(example("a"), request=request),
        enrollment(example("b"), request=request),
        enrollment(example("c"), request=replace(request, digest="other")),
    )
    assert isinstance(first, Enrolled)
    assert again == str(first.revision).encode()
    assert isinstance(other, RequestIdReused)
    assert [one.id for one in ledger.examples("birds")] == ["a"]


def test_labels_of_one_transaction_are_added_once(ledger: Ledger) -> None:
    wren = [LabelRecord("wren")]
    first, second = enroll(
        ledger,
        Enrollment("birds", wren, [example("a", "wren")]),
        Enrollment("birds", wren, [example("b", "wren")]),
    )
    assert isinstance(first, Enrolled)
    assert isinstance(second, Enrolled)
    assert [len(first.new_labels), len(second.new_labels)] == [1, 0]
    assert [label.id for label in ledger.labels("birds")] == ["robin", "wren"]


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.begin() as writer:
            writer.enroll([enrollment(example("a"))])
            raise RuntimeError

    before = ledger.head()
    with pytest.raises(RuntimeError):
        fail()
    assert ledger.head() == before
    assert not list(ledger.examples("birds"))


def test_a_delta_has_the_current_state(ledger: Ledger) -> None:
    first = ledger.head().revision
    enroll(ledger, enrollment(example("a"), example("b")))
    with ledger.begin() as writer:
        writer.delete_example("birds", "a")
        writer.create_label("birds", LabelRecord("wren"))
        writer.delete_label("birds", "wren")
        writer.update_label("birds", LabelRecord("robin", "Robin"))
    delta = ledger.since(first)
    kinds = ["enroll", "delete_example", "create_label", "delete_label", "update_label"]
    assert [change.kind for change in delta.changes] == kinds
    assert list(delta.examples) == [("birds", "b")]
    assert {key: label.display_name for key, label in delta.labels.items()} == {("birds", "robin"): "Robin"}
    assert delta.collections["birds"].revision == first + 5
    assert not ledger.since(first + 5).changes


def test_changes_of_one_collection_after_a_revision(ledger: Ledger) -> None:
    first = ledger.head()
    with ledger.begin() as writer:
        writer.create_collection(CollectionRecord("trees", "backbones/b", "space", 2))
    enroll(ledger, enrollment(example("one")))
    delta = ledger.since(first.revision, "birds")
    assert [(change.kind, change.collection_id) for change in delta.changes] == [("enroll", "birds")]
    assert not ledger.since(first.revision + 2, "birds").changes
    assert not ledger.since(first.revision + 1, "trees").changes


def test_the_changes_after_a_revision_say_what_they_come_after(ledger: Ledger) -> None:
    head = ledger.head()
    enroll(ledger, enrollment(example("one")))
    assert ledger.since(head.revision).before == head.digest
    assert ledger.since(head.revision + 1).before == ledger.head().digest
    assert ledger.since(0).before == FIRST
    assert ledger.since(head.revision + 2).before == ""


_DAY = 24 * 3600 * 1_000_000


def test_a_clock_that_runs_ahead_forgets_no_request(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    request = EnrollRequest("r", "digest", lambda _: b"the answer")
    enroll(ledger, enrollment(example("one"), request=request))
    now = now_microseconds()
    monkeypatch.setattr("glimpse.ledger.writes.enrollment.now_microseconds", lambda: now + 20 * _DAY)
    ledger.delete_expired_requests()
    assert ledger.stored_response("birds", request) == b"the answer"


def test_a_request_is_forgotten_after_a_week_if_others_came(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [EnrollRequest(name, "digest", lambda _: b"the answer") for name in ("old", "new")]
    enroll(ledger, enrollment(example("one"), request=requests[0]))
    now = now_microseconds() + 8 * _DAY
    for module in ("ledger.writes.enrollment", "ledger.database.transactions"):
        monkeypatch.setattr(f"glimpse.{module}.now_microseconds", lambda: now)
    enroll(ledger, enrollment(example("two"), request=requests[1]))
    ledger.delete_expired_requests()
    assert [ledger.stored_response("birds", one) for one in requests] == [None, b"the answer"]
