"""Tests that the views follow the ledger despite long work, failures and a restored history."""

import ast
import asyncio
import itertools
import re
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

import glimpse.ledger as ledger_package
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
    ReembeddingRecord,
    Writer,
    sqlite_url,
)
from glimpse.server.auth import caller
from glimpse.server.auth.caller import Caller
from glimpse.server.catalog import apply_changes, follower, write_queue
from glimpse.server.catalog.apply_changes import ChangeApplier
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.catalog.write_plan import PendingEnrollments
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.errors import Code, RequestError, as_request_error
from glimpse.server.snapshots import Snapshots

_NUMBERS = itertools.count(1)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns the URL of a ledger with a collection and a label, followed only when a write or a test asks for it."""
    monkeypatch.setattr(follower, "_POLL_SECONDS", 3600.0)
    url = sqlite_url(tmp_path)
    with Ledger.open(url) as ledger, ledger.begin() as writer:
        writer.create_collection(CollectionRecord("birds", "backbones/b", "space", 2))
        writer.create_label("birds", LabelRecord("robin"))
    return url


@pytest.fixture
def other(url: str) -> Iterator[Ledger]:
    """Opens the same ledger as another process would."""
    with closing(Ledger.open(url)) as ledger:
        yield ledger


def run(url: str, folder: Path, work: Callable[[Catalog], Awaitable[None]]) -> None:
    async def within() -> None:
        snapshots = Snapshots(folder / "snapshots", seconds=3600, examples=1)
        catalog = Catalog.open(url, IndexDirectory(folder / "indexes"), snapshots, lambda _: None)
        try:
            await work(catalog)
        finally:
            await catalog.close()

    asyncio.run(within())


def test_start_runs_few_statements_for_each_small_collection(url: str, other: Ledger, tmp_path: Path) -> None:
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
        return view.set_revision(outcome.revision)

    return applied


def held(catalog: Catalog) -> set[str]:
    examples = catalog.find("birds", "name", usable=False).examples
    found = [examples.example(sequence) for sequence in range(1, examples.last_sequence + 1)]
    return {one[0] for one in found if one}


def stored(ledger: Ledger) -> set[str]:
    return {one.id for one in ledger.examples("birds")}


def _wren(writer: Writer) -> object:
    return writer.create_label("birds", LabelRecord("wren"))


async def write(catalog: Catalog, work: Callable[[Writer], object] = _wren) -> None:
    """Writes anything: the views are at the ledger's head before the write is planned."""
    await catalog.write(lambda: work, lambda _: 0)


def test_another_server_writes_while_a_view_is_rebuilt(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        load, loads = catalog.loader.load, []

        def load_while_another_writes(record: CollectionRecord) -> CollectionView:
            view = load(record)
            loads.append(record.id)
            enroll(other)  # would wait 5 s for the head and fail if a transaction held it
            return view

        catalog.loader.load = load_while_another_writes  # type: ignore[method-assign]
        with other.begin() as writer:
            writer.attach("birds", AttachmentRecord("gone", "digest", 1), [])
        await catalog.enroll(lambda _: enrollment("mine"), lambda _: 0)
        assert loads == ["birds"]

    run(url, tmp_path, work)
    assert len(stored(other)) == 2


def test_view_is_rebuilt_after_a_commit_cannot_be_applied(url: str, other: Ledger, tmp_path: Path) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError

    async def work(catalog: Catalog) -> None:
        with pytest.raises(ZeroDivisionError):
            await catalog.enroll(lambda _: enrollment("failed"), fail)
        await catalog.enroll(lambda _: enrollment("next"), apply(catalog))
        await write(catalog)
        assert held(catalog) == stored(other) == {"failed", "next"}

    run(url, tmp_path, work)


def test_view_is_rebuilt_after_a_change_of_another_server_cannot_be_applied(
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


def test_view_has_no_reembedding_once_another_server_has_removed_it(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        view = catalog.find("birds", "name")
        with other.begin() as writer:
            writer.start_reembedding("birds", ReembeddingRecord("backbones/c", "other-space", 2))
        await write(catalog)
        assert view.reembedding
        assert view.reembedding.backbone == "backbones/c"
        with other.begin() as writer:
            writer.end_reembedding("birds")
        await write(catalog, lambda writer: writer.create_label("birds", LabelRecord("crow")))
        assert view.reembedding.switches == -1
        with other.begin() as writer:
            writer.clean_up_reembedding("birds", 100)
        await write(catalog, lambda writer: writer.create_label("birds", LabelRecord("jay")))
        assert view.reembedding is None

    run(url, tmp_path, work)


def test_the_kinds_of_change_that_views_apply_are_those_that_the_ledger_writes() -> None:
    """The kinds are stored in ledgers, so a renamed method must not rename its kind on one side."""
    sources = Path(ledger_package.__file__).parent.rglob("*.py")
    written = {kind for file in sources for kind in re.findall(r'self\.append\(\s*"(\w+)"', file.read_text("utf-8"))}
    tree = ast.parse(Path(apply_changes.__file__).read_text("utf-8"))
    patterns = [node.value for node in ast.walk(tree) if isinstance(node, ast.MatchValue)]
    matched = {pattern.value for pattern in patterns if isinstance(pattern, ast.Constant)}
    # Views hold no keys, and read the vectors of a re-embedding only when it is switched to.
    assert matched | apply_changes._REBUILDING == written - {"create_key", "revoke_key", "embed_shadow"}


@pytest.mark.parametrize("more", [0, 1, 3])
def test_ledger_that_lost_its_last_commits_is_reloaded(url: str, other: Ledger, tmp_path: Path, more: int) -> None:
    """A promoted standby may lack commits; later changes then reuse the lost revisions."""

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
        assert catalog.find("birds", "name").labels.keys() == {"robin"}  # `write` applies nothing, so crow is missing
        assert catalog.follower.revision == other.head().revision

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


def test_plan_receives_the_earlier_enrolments_of_its_transaction(url: str, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        counts: list[tuple[int, int]] = []

        def plan(pending: PendingEnrollments) -> Enrollment:
            counts.append((pending.examples["birds"], len(pending.labels["birds"])))
            return replace(enrollment(), new_labels=[LabelRecord(f"l{len(counts)}")])

        await asyncio.gather(*[catalog.enroll(plan, lambda _: 0) for _ in range(5)])
        # All were submitted at once, so they shared a transaction.
        assert counts == [(count, count) for count in range(5)]

    run(url, tmp_path, work)


def test_queue_of_writes_is_bounded(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_queue, "_MAX_WAITING", 3)

    def plan() -> Callable[[Writer], int]:
        return lambda _: 7

    async def work(catalog: Catalog) -> None:
        outcomes = await asyncio.gather(*[catalog.write(plan, lambda _: 0) for _ in range(5)], return_exceptions=True)
        assert outcomes[:3] == [7] * 3
        refusals = [one for one in outcomes[3:] if isinstance(one, RequestError)]
        assert [(one.reason, one.queue, one.retry_delay) for one in refusals] == [("QUEUE_FULL", "writes", 1.0)] * 2

    run(url, tmp_path, work)


def restart(url: str, folder: Path, wanted: set[str]) -> None:
    """Checks which examples a server holds that starts with the snapshots."""

    async def work(catalog: Catalog) -> None:
        assert held(catalog) == wanted

    run(url, folder, work)


def test_snapshot_includes_a_commit_that_could_not_be_applied(url: str, tmp_path: Path) -> None:
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
    snapshots.start(catalog, catalog.sync_to_head)
    await snapshots.finish(time.monotonic() + 20)
    await snapshots.close()


@pytest.mark.parametrize("more", [0, 2])
def test_snapshot_of_a_lost_history_is_not_used(url: str, other: Ledger, tmp_path: Path, more: int) -> None:
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


def test_wait_for_a_revision_ends_only_after_the_views_are_reloaded(url: str, other: Ledger, tmp_path: Path) -> None:
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
            # The revision is not reported before the views hold it.
            assert catalog.follower.revision < head
            return load(record)

        catalog.loader.load = load_slowly  # type: ignore[method-assign]
        catalog.follower.keys_changed.clear()
        await catalog.follower.wait_for_revision(head, time.monotonic() + 20)
        assert begun.is_set()
        assert held(catalog) == {f"new-{number}" for number in range(5)}
        assert catalog.follower.head == head
        assert catalog.follower.keys_changed.is_set()  # the keys may have changed too

    run(url, tmp_path, work)


def test_unreadable_collection_does_not_stop_others(url: str, other: Ledger, tmp_path: Path) -> None:
    def fail(_: CollectionRecord) -> CollectionView:
        raise ZeroDivisionError

    async def work(catalog: Catalog) -> None:
        catalog.loader.load = fail  # type: ignore[method-assign,assignment]
        with other.begin() as writer:
            writer.attach("birds", AttachmentRecord("gone", "digest", 1), [])
            writer.create_collection(CollectionRecord("cats", "backbones/b", "space", 2))
        await write(catalog, lambda writer: writer.create_label("cats", LabelRecord("tabby")))
        assert catalog.follower.revision == other.head().revision
        assert catalog.find("cats", "name").record.id == "cats"
        with pytest.raises(RequestError, match="COLLECTION_UNREADABLE"):
            catalog.find("birds", "name")

    run(url, tmp_path, work)


def test_head_that_differs_from_the_last_change_is_reported(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE head SET revision = revision + 1"))
        engine.dispose()
        with pytest.raises(LedgerUnavailable, match="verify"):
            await write(catalog)

    run(url, tmp_path, work)


@pytest.mark.serial
def test_old_requests_are_deleted_during_writes(url: str, other: Ledger) -> None:
    """SQLite refuses a transaction that reads first and writes later if another one commits in between."""
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
                ledger.delete_expired_requests()
        finally:
            done.set()
            writing.join()


def test_many_changes_are_applied_before_the_transaction_begins(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        with other.begin() as writer:
            writer.enroll([enrollment() for _ in range(500)])
        apply_delta, unlocked = catalog.follower._apply_delta, list[bool]()

        def slow_apply(delta: Delta) -> None:
            try:
                enroll(other)  # would wait 5 s for the head and fail if a transaction held it
            except LedgerUnavailable:
                unlocked.append(False)
            else:
                unlocked.append(True)
            apply_delta(delta)

        catalog.follower._apply_delta = slow_apply  # type: ignore[method-assign]
        await write(catalog)
        # All deltas but the last, short one were applied outside a transaction.
        assert unlocked[:2] == [True, True]
        assert held(catalog) == stored(other)

    run(url, tmp_path, work)


def test_lag_is_known_while_the_views_catch_up(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        follower, apply_delta, lags = catalog.follower, catalog.follower._apply_delta, list[int]()

        def slow_apply(delta: Delta) -> None:
            lags.append(follower.head - follower.revision)
            apply_delta(delta)

        follower._apply_delta = slow_apply  # type: ignore[method-assign]
        with other.begin() as writer:
            writer.enroll([enrollment() for _ in range(500)])
        head = other.head().revision
        await follower.wait_for_revision(head, time.monotonic() + 60)  # without a notification
        assert lags == [500, 300, 100]
        assert follower.head == follower.revision == head

    run(url, tmp_path, work)


@pytest.mark.parametrize(
    ("place", "character"), [("sqlite", "\ud83d"), ("postgresql", "\ud83d"), ("postgresql", "\0")], ids=ascii
)
@pytest.mark.parametrize("where", ["actor", "domain", "request"])
def test_only_the_faulty_write_of_a_group_fails(
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
                caller.set_caller(Caller(f"jwt:{character}" if where == "actor" else "eve"))
                return await catalog.enroll(lambda _: odd(), apply(catalog))
            caller.set_caller(Caller(f"good-{number}"))
            return await catalog.enroll(lambda _: enrollment(f"e{number}"), apply(catalog))

        outcomes = await asyncio.gather(*map(send, range(20)), return_exceptions=True)
        [failure] = [one for one in outcomes if isinstance(one, BaseException)]
        assert outcomes[7] is failure
        error = as_request_error(failure) if isinstance(failure, Exception) else None
        assert error is not None, repr(failure)
        assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "INVALID_CHARACTER")
        assert held(catalog) == {f"e{number}" for number in range(20) if number != 7}

    run(url, tmp_path, work)
    with Ledger.open(url) as ledger:
        assert stored(ledger) == {f"e{number}" for number in range(20) if number != 7}
        actors = {one.actor for one in ledger.changes() if one.kind == "enroll"}
    assert actors == {f"good-{number}" for number in range(20) if number != 7}


def test_unavailable_database_is_not_tried_for_each_write(
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


def test_cancelled_call_does_not_cancel_the_read_that_others_wait_for(
    url: str, other: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(catalog: Catalog) -> None:
        follower, begun, looks = catalog.follower, asyncio.Event(), itertools.count(1)
        look = follower._read_head

        async def slow() -> None:
            if next(looks) == 2:
                await asyncio.to_thread(enroll, other)
                begun.set()
            await asyncio.sleep(0.05)
            await look()

        monkeypatch.setattr(follower, "_read_head", slow)
        _, second, third = [asyncio.create_task(follower._read_head_once()) for _ in range(3)]
        await begun.wait()
        second.cancel()
        await third
        assert follower.head == other.head().revision

    run(url, tmp_path, work)


def test_every_waiting_call_gets_the_error_of_a_failed_read(
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
            patched.setattr(catalog.follower, "_read_head", fail)
            found = await asyncio.gather(*(catalog.follower.refresh() for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in found] == [LedgerUnavailable] * 5
        assert looks == 2, "the first read began before the other calls"
        await catalog.follower.refresh()

    run(url, tmp_path, work)
