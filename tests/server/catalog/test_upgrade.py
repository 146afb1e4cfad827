"""Tests a server during and after a later version's migration of the ledger."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest

from glimpse.client import Client, NewExample, Vector
from glimpse.ledger.database import schema
from support.postgres import Postgres
from support.server import ServerProcess

_WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def migrate(url: str, during: Callable[[], None]) -> None:
    """Migrates as a later version may: adds tables, and columns to existing tables."""
    address = url.replace("+psycopg", "")
    with psycopg.connect(address) as connection, psycopg.connect(address, autocommit=True) as other:
        for table in schema.metadata.sorted_tables:
            connection.execute(f"ALTER TABLE {table.name} ADD later integer NOT NULL DEFAULT 7, ADD nothing text")  # type: ignore[arg-type,unused-ignore]
        connection.execute("CREATE TABLE later (id text PRIMARY KEY REFERENCES collections (id) ON DELETE CASCADE)")
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        during()
        while not other.execute(_WAITING).fetchall():
            time.sleep(0.02)


def test_server_keeps_running_during_a_later_versions_migration(
    database: Postgres, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    url = database.database()
    # Two servers, because each must read what the other writes.
    with (
        ServerProcess(folder(tmp_path, "a"), bundles[0], ledger=url) as a,
        ServerProcess(folder(tmp_path, "b"), bundles[0], ledger=url) as b,
        Client(a.address) as one,
        Client(b.address) as two,
        ThreadPoolExecutor(1) as pool,
    ):
        space = one.create_collection("birds").embedding_space
        rows = np.random.default_rng(0).normal(size=(40, 8)).astype("<f4")
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)

        def use(some: range) -> None:
            for number in some:
                given = Vector(rows[number], space)
                done = one.enroll("birds", [NewExample(given, f"label-{number % 2}")], create_labels=True)
                [found] = two.search_examples("birds", [given], top_k=1, min_revision=done.revision)
                assert found.unwrap()[0].example == done.results[0].unwrap().name

        use(range(20))  # so that the driver prepares its statements
        written = []
        migrate(url, lambda: written.append(pool.submit(use, range(20, 21))))
        written[0].result()
        use(range(21, 40))
        two.delete_label("birds", "label-0", force=True)
        assert one.get_collection("birds").example_count == 20
        two.delete_collection("birds", force=True)
        # A server that stops now cannot start again.
        a.stop()
        with pytest.raises(AssertionError, match="has schema 9999, newer than this version"):
            a.start()


def folder(within: Path, name: str) -> Path:
    made = within / name
    made.mkdir()
    return made
