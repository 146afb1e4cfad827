"""Tests that PostgreSQL notifies a server of others' writes, and that it polls if it cannot listen."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from glimpse.ledger import CollectionRecord, Ledger
from glimpse.ledger.changes import notifications
from glimpse.ledger.database import transactions
from glimpse.ledger.database.database import CONNECT
from glimpse.server.catalog import follower
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.snapshots import Snapshots
from support.postgres import Postgres

_LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


@pytest.fixture
def url(database: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns the URL of an empty ledger, which servers read only when asked to."""
    monkeypatch.setattr(follower, "_POLL_SECONDS", 3600.0)
    return database.database()


@pytest.fixture
def other(url: str) -> Iterator[Ledger]:
    """Opens the same ledger as another server would."""
    with closing(Ledger.open(url)) as ledger:
        yield ledger


def create(ledger: Ledger, name: str) -> None:
    with ledger.begin() as writer:
        writer.create_collection(CollectionRecord(name, "backbones/b", "space", 2))


def ask(url: str, statement: str) -> list[int]:
    """Returns the integers that a query of the database returns."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        return [row[0] for row in connection.execute(statement)]  # type: ignore[arg-type,unused-ignore]


def listening_logs(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Returns the log lines about listening."""
    return [one.getMessage() for one in caplog.records if one.name == "glimpse.ledger.changes.notifications"]


def run(url: str, folder: Path, work: Callable[[Catalog], Awaitable[None]]) -> None:
    async def within() -> None:
        snapshots = Snapshots(folder / "snapshots", seconds=3600, examples=1)
        catalog = Catalog.open(url, IndexDirectory(folder / "indexes"), snapshots, lambda _: None)
        try:
            async with asyncio.timeout(60):
                await work(catalog)
        finally:
            await catalog.close()

    asyncio.run(within())


async def until(found: Callable[[], object]) -> None:
    while not await asyncio.to_thread(found):  # noqa: ASYNC110 (it changes in another process)
        await asyncio.sleep(0.02)


async def listening(url: str, than: int = 0) -> int:
    """Waits for a listening connection in another process than `before`, and returns it."""
    found: list[int] = []

    def another() -> bool:
        found[:] = [pid for pid in ask(url, _LISTENING) if pid != than]
        return bool(found)

    await until(another)
    return found[0]


def test_writes_of_another_server_arrive_without_polling(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        await listening(url)
        for number in range(5):
            name = f"made-{number}"
            await asyncio.to_thread(create, other, name)
            await until(lambda name=name: catalog.exists(name))  # type: ignore[misc]

    run(url, tmp_path, work)


def test_interrupted_listener_reconnects_and_misses_nothing(
    url: str, other: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(catalog: Catalog) -> None:
        pid = await listening(url)
        await asyncio.to_thread(ask, url, f"SELECT pg_terminate_backend({pid})::int")
        await until(lambda: pid not in ask(url, _LISTENING))
        await asyncio.to_thread(create, other, "meanwhile")
        await listening(url, than=pid)
        await until(lambda: catalog.exists("meanwhile"))
        await asyncio.to_thread(create, other, "after")
        await until(lambda: catalog.exists("after"))

    run(url, tmp_path, work)
    assert len(listening_logs(caplog)) == 1


def test_refused_listener_retries(
    url: str, other: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A standby refuses LISTEN until it is promoted."""
    monkeypatch.setattr(notifications, "CHANNEL", "no name")
    monkeypatch.setattr(notifications, "_PAUSE_SECONDS", 0.02)

    async def work(catalog: Catalog) -> None:
        await until(lambda: listening_logs(caplog))
        await asyncio.to_thread(create, other, "meanwhile")
        monkeypatch.setattr(notifications, "CHANNEL", transactions.CHANNEL)
        await until(lambda: catalog.exists("meanwhile"))
        await asyncio.to_thread(create, other, "after")
        await until(lambda: catalog.exists("after"))

    run(url, tmp_path, work)
    [message] = listening_logs(caplog)
    assert "syntax error" in message


def test_database_without_notifications_is_polled(
    url: str, other: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = {**CONNECT, "port": 1}
    monkeypatch.setattr(notifications, "CONNECT", refusing)
    monkeypatch.setattr(notifications, "_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(follower, "_POLL_SECONDS", 0.1)

    async def work(catalog: Catalog) -> None:
        for name in ("first", "second"):
            await asyncio.to_thread(create, other, name)
            await until(lambda name=name: catalog.exists(name))  # type: ignore[misc]
            await asyncio.sleep(0.2)
        assert not ask(url, _LISTENING)

    run(url, tmp_path, work)
    [message] = listening_logs(caplog)
    assert "refused" in message


def test_foreign_notifications_are_harmless(url: str, other: Ledger, tmp_path: Path) -> None:
    async def work(catalog: Catalog) -> None:
        pid = await listening(url)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as foreign:
            for payload in ("", "nonsense", "-1", "9" * 7_000, str(2**40)):
                foreign.execute("SELECT pg_notify('glimpse', %s)", [payload])
        await asyncio.to_thread(create, other, "after")
        await until(lambda: catalog.exists("after"))
        assert await listening(url) == pid
        # A refresh does not wait for a revision that does not exist.
        async with asyncio.timeout(10):
            await catalog.follower.refresh()
        assert catalog.follower.head == catalog.follower.revision == other.head().revision

    run(url, tmp_path, work)
