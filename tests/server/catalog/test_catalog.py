"""The views follow the ledger whatever comes between: long work, failures, and a history that is another."""

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, event, text

from glimpse.ledger import (
    AttachmentRecord,
    CollectionRecord,
    Delta,
    Enrolled,
    Enrollment,
    EnrollRequest,
    ExampleRecord,
    LabelRecord,
    Ledger,
    LedgerUnavailable,
    Writer,
    sqlite_url,
)
from glimpse.server.auth import caller
from glimpse.server.auth.caller import Caller
from glimpse.server.catalog import follower, write_queue
from glimpse.server.catalog.apply_changes import ChangeApplier
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.catalog.write_plan import PendingEnrollments
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import Indexes
from glimpse.server.errors import Code, RequestError, as_request_error
from glimpse.server.snapshots import Snapshots

_NUMBERS = itertools.count(1)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a ledger with a collection and a label. Nothing is followed but when a write or a test asks."""
    monkeypatch.setattr(follower, "_POLL_SECONDS", 3600.0)
    url = sqlite_url(tmp_path)
    with Ledger.open(url) as ledger, ledger.begin() as writer:
        writer.create_collection(CollectionRecord("birds", "backbones/b", "space", 2))
        writer.create_label("birds", LabelRecord("robin"))
    return url


@pytest.fixture
def other(url: str) -> Iterator[Ledger]:
    """Another process's."""
    with closing(Ledger.open(url)) as ledger:
        yield ledger


def run(url: str, folder: Path, work: Callable[[Catalog], Awaitable[None]]) -> None:
    async def within() -> None:
        snapshots = Snapshots(folder / "snapshots", seconds=3600, examples=1)
        catalog = Catalog.open(url, Indexes(folder / "indexes"), snapshots, lambda _: None)
        try:
            await work(catalog)
        finally:
            await catalog.close()

    asyncio.run(within())


def test_a_start_with_many_small_collections_asks_little_for_each(url: str, other: Ledger, tmp_path: Path) -> None:
    statements = list[str]()

    def start() -> int:
        statements.clear()
        run(url, tmp_path, lambda catalog: asyncio.sleep(0))
        return len(statements)

    def count(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", count)
    try:
        before = start()
        with other.begin() as writer:
            for number in range(300):
                writer.create_collection(CollectionRecord(f"c{number}", "backbones/tiny", "sha256:tiny", 2))
        assert start() - before <= 6 * 300
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def enrollment(name: str = "") -> Enrollment:
    name = name or f"e{next(_NUMBERS)}"
    vector = np.array([1, 0], "<f4").tobytes()
    return Enrollment("birds", [], [ExampleRecord(name, "robin", f"sha256:{name}", 1, vector)])


def enroll(ledger: Ledger, name: str = "") -> None:
    with ledger.begin() as writer:
        writer.enroll([enrollment(name)])


def apply(catalog: Catalog) -> Callable[[object], int]:
    def applied(outcome: object) -> int:
        view = catalog.find("birds", "name")
        assert isinstance(outcome, Enrolled)
        view.add_examples(outcome.examples)
        return view.moved_to(outcome.revision)

    return applied


def held(catalog: Catalog) -> set[str]:
    examples = catalog.find("birds", "name", usable=False).examples
    found = [examples.example(sequence) for sequence in range(1, examples.last + 1)]
    return {one[0] for one in found if one}


def stored(ledger: Ledger) -> set[str]:
    return {one.id for one in ledger.examples("birds")}


def _wren(writer: Writer) -> object:
    return writer.create_label("birds", LabelRecord("wren"))


async def write(catalog: Catalog, work: Callable[[Writer], object] = _wren) -> None:
    """Any write: the views are where the ledger is before it is planned."""
    await catalog.write(lambda: work, lambda _: 0)


def test_while_a_view_is_built_anew_another_server_writes(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        load, loads = catalog.loader.load, []

        def load_while_another_writes(record: CollectionRecord) -> CollectionView:
            view = load(record)
            loads.append(record.id)
            enroll(other)  # it waits 5 s for the head, and fails, where that is held
            return view

        catalog.loader.load = load_while_another_writes  # type: ignore[method-assign]
        with other.begin() as writer:
            writer.attach("birds", AttachmentRecord("gone", "digest", 1), [])
        await catalog.enroll(lambda _: enrollment("mine"), lambda _: 0)
        assert loads == ["birds"]

    run(url, tmp_path, work)
    assert len(stored(other)) == 2


def test_where_a_commit_cannot_be_applied_the_view_is_built_anew(url: str, other: Ledger, tmp_path: Path) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError

    async def work(catalog: Catalog) -> None:
        with pytest.raises(ZeroDivisionError):
            await catalog.enroll(lambda _: enrollment("failed"), fail)
        await catalog.enroll(lambda _: enrollment("next"), apply(catalog))
        await write(catalog)
        assert held(catalog) == stored(other) == {"failed", "next"}

    run(url, tmp_path, work)


def test_where_anothers_change_cannot_be_applied_the_view_is_built_anew(
    url: str, other: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: ChangeApplier) -> None:
        raise ZeroDivisionError

    async def work(catalog: Catalog) -> None:
        enroll(other, "theirs")
        with monkeypatch.context() as patched:
            patched.setattr(ChangeApplier, "apply", fail)
            await write(catalog)
        assert held(catalog) == stored(other) == {"theirs"}

    run(url, tmp_path, work)


@pytest.mark.parametrize("more", [0, 1, 3])
def test_a_ledger_that_lost_its_last_commits_is_read_anew(url: str, other: Ledger, tmp_path: Path, more: int) -> None:
    """As a standby does that takes the place of its database: what comes then has the numbers of what is lost."""

    async def work(catalog: Catalog) -> None:
        enroll(other, "kept")
        before = other.head()
        enroll(other, "lost")
        await write(catalog)
        assert held(catalog) == {"kept", "lost"}
        _go_back(url, before.revision, before.digest)
        for number in range(more):
            enroll(other, f"new-{number}")
        await write(catalog, lambda writer: writer.create_label("birds", LabelRecord("crow")))
        assert held(catalog) == stored(other) == {"kept", *(f"new-{number}" for number in range(more))}
        assert catalog.find("birds", "name").labels.keys() == {"robin"}  # of crow nothing was applied: see write
        assert catalog.tracker.revision == other.head().revision

    run(url, tmp_path, work)


def _go_back(url: str, revision: int, digest: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM changes WHERE revision > :r"), {"r": revision})
        connection.execute(text("UPDATE head SET revision = :r, digest = :d"), {"r": revision, "d": digest})
        connection.execute(text("UPDATE collections SET revision = :r"), {"r": revision})
        connection.execute(text("DELETE FROM examples WHERE id = 'lost'"))
        connection.execute(text("DELETE FROM labels WHERE id = 'wren'"))
    engine.dispose()


def test_an_enrolment_is_given_those_before_it_in_its_transaction(url: str, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        given: list[tuple[int, int]] = []

        def plan(coming: PendingEnrollments) -> Enrollment:
            given.append((coming.examples["birds"], len(coming.labels["birds"])))
            return replace(enrollment(), new_labels=[LabelRecord(f"l{len(given)}")])

        await asyncio.gather(*[catalog.enroll(plan, lambda _: 0) for _ in range(5)])
        # They asked at once, so that they shared one.
        assert given == [(count, count) for count in range(5)]

    run(url, tmp_path, work)


def test_writes_that_wait_are_bounded(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "_MOST_WAITING", 3)

    def plan() -> Callable[[Writer], int]:
        return lambda _: 7

    async def work(catalog: Catalog) -> None:
        outcomes = await asyncio.gather(*[catalog.write(plan, lambda _: 0) for _ in range(5)], return_exceptions=True)
        assert outcomes[:3] == [7] * 3
        refusals = [one for one in outcomes[3:] if isinstance(one, RequestError)]
        assert [(one.reason, one.queue, one.retry_delay) for one in refusals] == [("QUEUE_FULL", "writes", 1.0)] * 2

    run(url, tmp_path, work)


def restart(url: str, folder: Path, wanted: set[str]) -> None:
    """What a server that begins with the snapshots holds."""

    async def work(catalog: Catalog) -> None:
        assert held(catalog) == wanted

    run(url, folder, work)


def test_a_snapshot_holds_what_could_not_be_applied(url: str, tmp_path: Path) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError

    async def work(catalog: Catalog) -> None:
        await catalog.enroll(lambda _: enrollment("one"), apply(catalog))
        with pytest.raises(ZeroDivisionError):
            await catalog.enroll(lambda _: enrollment("failed"), fail)
        await snapshot(catalog, tmp_path)

    run(url, tmp_path, work)
    restart(url, tmp_path, {"one", "failed"})


async def snapshot(catalog: Catalog, folder: Path) -> None:
    snapshots = Snapshots(folder / "snapshots", seconds=3600, examples=1)
    snapshots.start(catalog, catalog.reached_head)
    await snapshots.finish(time.monotonic() + 20)
    await snapshots.close()


@pytest.mark.parametrize("more", [0, 2])
def test_no_snapshot_is_of_a_history_that_was_lost(url: str, other: Ledger, tmp_path: Path, more: int) -> None:
    async def work(catalog: Catalog) -> None:
        enroll(other, "kept")
        before = other.head()
        enroll(other, "lost")
        await write(catalog)
        _go_back(url, before.revision, before.digest)
        for number in range(more):
            enroll(other, f"new-{number}")
        await snapshot(catalog, tmp_path)

    run(url, tmp_path, work)
    restart(url, tmp_path, {"kept", *(f"new-{number}" for number in range(more))})


def test_who_waits_for_a_revision_hears_of_it_once_the_views_are_of_the_ledger_again(
    url: str, other: Ledger, tmp_path: Path
) -> None:
    async def work(catalog: Catalog) -> None:
        before = other.head()
        enroll(other, "lost")
        await write(catalog)
        _go_back(url, before.revision, before.digest)
        for number in range(5):
            enroll(other, f"new-{number}")
        head = other.head().revision
        load, begun = catalog.loader.load, threading.Event()

        def load_slowly(record: CollectionRecord) -> CollectionView:
            begun.set()
            # Nobody is told that the revision is there while it is not.
            assert catalog.tracker.revision < head
            return load(record)

        catalog.loader.load = load_slowly  # type: ignore[method-assign]
        catalog.tracker.keys_changed.clear()
        await catalog.tracker.reach(head, time.monotonic() + 20)
        assert begun.is_set()
        assert held(catalog) == {f"new-{number}" for number in range(5)}
        assert catalog.tracker.head == head
        assert catalog.tracker.keys_changed.is_set()  # keys may be others too

    run(url, tmp_path, work)


def test_a_collection_that_cannot_be_read_stops_no_other(url: str, other: Ledger, tmp_path: Path) -> None:
    def fail(_: CollectionRecord) -> CollectionView:
        raise ZeroDivisionError

    async def work(catalog: Catalog) -> None:
        catalog.loader.load = fail  # type: ignore[method-assign,assignment]
        with other.begin() as writer:
            writer.attach("birds", AttachmentRecord("gone", "digest", 1), [])
            writer.create_collection(CollectionRecord("cats", "backbones/b", "space", 2))
        await write(catalog, lambda writer: writer.create_label("cats", LabelRecord("tabby")))
        assert catalog.tracker.revision == other.head().revision
        assert catalog.find("cats", "name").record.id == "cats"
        with pytest.raises(RequestError, match="COLLECTION_UNREADABLE"):
            catalog.find("birds", "name")

    run(url, tmp_path, work)


def test_a_head_that_is_not_what_its_last_change_says_is_told(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE head SET revision = revision + 1"))
        engine.dispose()
        with pytest.raises(LedgerUnavailable, match="verify"):
            await write(catalog)

    run(url, tmp_path, work)


@pytest.mark.serial
def test_requests_are_forgotten_beside_a_writer(url: str, other: Ledger) -> None:
    """A transaction that reads first, and then writes, is refused by SQLite where another came between."""
    with Ledger.open(url) as ledger:
        done = threading.Event()

        def write_on() -> None:
            while not done.is_set():
                with other.begin() as writer:
                    request = EnrollRequest(f"r{next(_NUMBERS)}", "digest", lambda _: b"answer")
                    writer.enroll([replace(enrollment(), request=request)])

        writing = threading.Thread(target=write_on)
        writing.start()
        try:
            for _ in range(100):
                ledger.forget_requests()
        finally:
            done.set()
            writing.join()


def test_many_changes_are_read_before_the_head_is_held(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        with other.begin() as writer:
            writer.enroll([enrollment() for _ in range(500)])
        took, alone = catalog.tracker._take_on, list[bool]()

        def take_on(delta: Delta) -> None:
            try:
                enroll(other)  # it waits 5 s for the head, and fails, where that is held
            except LedgerUnavailable:
                alone.append(False)
            else:
                alone.append(True)
            took(delta)

        catalog.tracker._take_on = take_on  # type: ignore[method-assign]
        await write(catalog)
        # All but the last, which is short, and what came while it was read.
        assert alone[:2] == [True, True]
        assert held(catalog) == stored(other)

    run(url, tmp_path, work)


def test_how_far_behind_the_views_are_is_known_while_they_are_brought_on(
    url: str, other: Ledger, tmp_path: Path
) -> None:
    async def work(catalog: Catalog) -> None:
        tracker, took, behind = catalog.tracker, catalog.tracker._take_on, list[int]()

        def take_on(delta: Delta) -> None:
            behind.append(tracker.head - tracker.revision)
            took(delta)

        tracker._take_on = take_on  # type: ignore[method-assign]
        with other.begin() as writer:
            writer.enroll([enrollment() for _ in range(500)])
        head = other.head().revision
        await tracker.reach(head, time.monotonic() + 60)  # without a word from the database
        assert behind == [500, 300, 100]
        assert tracker.head == tracker.revision == head

    run(url, tmp_path, work)


@pytest.mark.parametrize(
    ("place", "character"), [("sqlite", "\ud83d"), ("postgresql", "\ud83d"), ("postgresql", "\0")], ids=ascii
)
@pytest.mark.parametrize("where", ["actor", "domain", "request"])
def test_of_a_group_that_cannot_be_stored_only_the_culprit_fails(
    request: pytest.FixtureRequest, tmp_path: Path, place: str, character: str, where: str
) -> None:
    url = request.getfixturevalue("database").database() if place == "postgresql" else sqlite_url(tmp_path)
    with Ledger.open(url) as ledger, ledger.begin() as writer:
        writer.create_collection(CollectionRecord("birds", "backbones/b", "space", 2))
        writer.create_label("birds", LabelRecord("robin"))

    def odd() -> Enrollment:
        one = enrollment("odd")
        if where == "domain":
            return replace(one, examples=[replace(one.examples[0], domain=f"a{character}")])
        if where == "request":
            return replace(one, request=EnrollRequest(f"a{character}", "digest", lambda _: b""))
        return one

    async def work(catalog: Catalog) -> None:
        async def send(number: int) -> object:
            if number == 7:
                caller.enter(Caller(f"jwt:{character}" if where == "actor" else "eve"))
                return await catalog.enroll(lambda _: odd(), apply(catalog))
            caller.enter(Caller(f"good-{number}"))
            return await catalog.enroll(lambda _: enrollment(f"e{number}"), apply(catalog))

        outcomes = await asyncio.gather(*map(send, range(20)), return_exceptions=True)
        [failure] = [one for one in outcomes if isinstance(one, BaseException)]
        assert outcomes[7] is failure
        told = as_request_error(failure) if isinstance(failure, Exception) else None
        assert told is not None, repr(failure)
        assert (told.code, told.reason) == (Code.INVALID_ARGUMENT, "INVALID_CHARACTER")
        assert held(catalog) == {f"e{number}" for number in range(20) if number != 7}

    run(url, tmp_path, work)
    with Ledger.open(url) as ledger:
        assert stored(ledger) == {f"e{number}" for number in range(20) if number != 7}
        actors = {one.actor for one in ledger.changes() if one.kind == "enroll"}
    assert actors == {f"good-{number}" for number in range(20) if number != 7}


def test_a_database_that_is_gone_is_not_asked_again_for_each_write(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = itertools.count()

    def gone(*_: object) -> None:
        next(tried)
        raise LedgerUnavailable("the disk is full")

    async def work(catalog: Catalog) -> None:
        monkeypatch.setattr(Writer, "enroll", gone)
        sent = [catalog.enroll(lambda _: enrollment(), apply(catalog)) for _ in range(20)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        assert all(isinstance(one, LedgerUnavailable) for one in outcomes)
        assert next(tried) <= 2

    run(url, tmp_path, work)


def test_a_caller_who_leaves_takes_no_other_callers_look_at_the_ledger_along(
    url: str, other: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(catalog: Catalog) -> None:
        tracker, begun, looks = catalog.tracker, asyncio.Event(), itertools.count(1)
        look = tracker._look

        async def slow() -> None:
            if next(looks) == 2:
                await asyncio.to_thread(enroll, other)
                begun.set()
            await asyncio.sleep(0.05)
            await look()

        monkeypatch.setattr(tracker, "_look", slow)
        _, second, third = [asyncio.create_task(tracker._look_once()) for _ in range(3)]
        await begun.wait()
        second.cancel()
        await third
        assert tracker.head == other.head().revision

    run(url, tmp_path, work)


def test_all_who_wait_for_one_look_at_a_ledger_that_is_gone_hear_of_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(catalog: Catalog) -> None:
        looks = 0

        async def fail() -> None:
            nonlocal looks
            looks += 1
            await asyncio.sleep(0.05)
            raise LedgerUnavailable("gone")

        with monkeypatch.context() as patched:
            patched.setattr(catalog.tracker, "_look", fail)
            found = await asyncio.gather(*(catalog.tracker.refresh() for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in found] == [LedgerUnavailable] * 5
        assert looks == 2, "the first is of before the others asked"
        await catalog.tracker.refresh()

    run(url, tmp_path, work)
