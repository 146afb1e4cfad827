"""A ledger that is gone, or ahead: what the metrics, GetServerInfo and the log say of it."""

import logging
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from glimpse.client import Client
from glimpse.ledger import KeyRecord, Ledger
from glimpse.server.catalog.ledger_health import LedgerHealth
from support.metrics import samples
from support.postgres import postgres
from support.server import ServerProcess
from support.wait import soon


def reached(server: ServerProcess) -> float:
    return samples(server, "glimpse_ledger_seconds_since_reached")[()]


def test_a_lost_database_is_seen_and_so_is_its_return(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with (
        postgres() as database,
        ServerProcess(tmp_path, bundles[0], ledger=database.database(), metrics_listen="127.0.0.1:0") as server,
        Client(server.address) as client,
    ):
        database.stop()
        end = time.monotonic() + 60
        while reached(server) < 4:
            assert time.monotonic() < end
            time.sleep(0.1)
        told = client.server_info()
        assert told.seconds_since_reached is not None
        assert told.seconds_since_reached >= 4
        assert told.head == told.revision  # by which nobody would see it
        database.start()
        while "following the ledger again, after" not in server.log():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert reached(server) < 4
        assert server.log().count("cannot follow the ledger") == 1


def lag(server: ServerProcess) -> float:
    return samples(server, "glimpse_ledger_head")[()] - samples(server, "glimpse_ledger_revision")[()]


def test_a_server_that_cannot_follow_tells_how_far_it_is_behind(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with (
        postgres() as database,
        closing(Ledger.open(url := database.database())) as other,
        ServerProcess(tmp_path, bundles[0], ledger=url, metrics_listen="127.0.0.1:0") as server,
        Client(server.address) as client,
    ):
        client.create_collection("birds")
        assert lag(server) == 0
        with psycopg.connect(url.replace("+psycopg", "")) as locking:
            # What changes are about cannot be read; where the ledger stands can.
            locking.execute("LOCK TABLE collections IN ACCESS EXCLUSIVE MODE")
            with other.begin() as writer:
                for name in ("a", "b", "c"):
                    writer.create_key(KeyRecord(name, name, b"salt", b"hash", "read", ["*"]))
            soon(lambda: lag(server) == 3)
            told = client.server_info()
            assert (told.head, told.revision) == (4, 1)
        soon(lambda: lag(server) == 0)
        told = client.server_info()
        assert told.head == told.revision == 4


def test_the_log_tells_of_a_lost_ledger_at_its_begin_once_a_minute_and_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = SimpleNamespace(now=100.0)
    contact = LedgerHealth(lambda: clock.now)
    with caplog.at_level(logging.INFO, "glimpse.server.catalog.ledger_health"):
        contact.record_read()
        contact.record_followed()
        for _ in range(125):
            clock.now += 1
            contact.record_failure(OSError("refused"))
        assert contact.seconds_since_read == 125
        clock.now += 1
        contact.record_read()
        contact.record_followed()
        contact.record_followed()
    assert caplog.messages == [
        "cannot follow the ledger: refused",
        "cannot follow the ledger for 60 s: refused",
        "cannot follow the ledger for 120 s: refused",
        "following the ledger again, after 125 s",
    ]


def test_a_ledger_that_is_read_but_not_followed_is_not_told_of_as_back(caplog: pytest.LogCaptureFixture) -> None:
    contact = LedgerHealth(lambda: 1.0)
    for _ in range(3):
        contact.record_read()
        contact.record_failure(OSError("a row cannot be read"))
    assert len(caplog.messages) == 1
