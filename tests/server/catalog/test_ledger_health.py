"""Tests metrics, GetServerInfo and the log when the ledger is unavailable or ahead of the server."""

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


def test_outage_and_recovery_of_the_database_are_visible(bundles: tuple[Path, Path], tmp_path: Path) -> None:
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
        info = client.server_info()
        assert info.seconds_since_reached is not None
        assert info.seconds_since_reached >= 4
        assert info.head == info.revision  # an average of this would not show the outage
        database.start()
        while "following the ledger again, after" not in server.log():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert reached(server) < 4
        assert server.log().count("cannot follow the ledger") == 1


def lag(server: ServerProcess) -> float:
    return samples(server, "glimpse_ledger_head")[()] - samples(server, "glimpse_ledger_revision")[()]


def test_server_that_cannot_follow_reports_its_lag(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with (
        postgres() as database,
        closing(Ledger.open(url := database.database())) as other,
        ServerProcess(tmp_path, bundles[0], ledger=url, metrics_listen="127.0.0.1:0") as server,
        Client(server.address) as client,
    ):
        client.create_collection("birds")
        assert lag(server) == 0
        with psycopg.connect(url.replace("+psycopg", "")) as locking:
            # The subjects of the changes cannot be read, but the head can.
            locking.execute("LOCK TABLE collections IN ACCESS EXCLUSIVE MODE")
            with other.begin() as writer:
                for name in ("a", "b", "c"):
                    writer.create_key(KeyRecord(name, name, b"salt", b"hash", "read", ["*"]))
            soon(lambda: lag(server) == 3)
            info = client.server_info()
            assert (info.head, info.revision) == (4, 1)
        soon(lambda: lag(server) == 0)
        info = client.server_info()
        assert info.head == info.revision == 4


def test_outage_is_logged_at_its_start_once_a_minute_and_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = SimpleNamespace(now=100.0)
    health = LedgerHealth(lambda: clock.now)
    with caplog.at_level(logging.INFO, "glimpse.server.catalog.ledger_health"):
        health.record_read()
        health.record_followed()
        for _ in range(125):
            clock.now += 1
            health.record_failure(OSError("refused"))
        assert health.seconds_since_read == 125
        clock.now += 1
        health.record_read()
        health.record_followed()
        health.record_followed()
    assert caplog.messages == [
        "cannot follow the ledger: refused",
        "cannot follow the ledger for 60 s: refused",
        "cannot follow the ledger for 120 s: refused",
        "following the ledger again, after 125 s",
    ]


def test_ledger_that_is_read_but_not_followed_is_not_logged_as_recovered(caplog: pytest.LogCaptureFixture) -> None:
    health = LedgerHealth(lambda: 1.0)
    for _ in range(3):
        health.record_read()
        health.record_failure(OSError("a row cannot be read"))
    assert len(caplog.messages) == 1
