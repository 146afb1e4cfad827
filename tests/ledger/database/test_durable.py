"""Tests the durability settings of the ledger's PostgreSQL connections, for any setting of the database."""

import psycopg
import pytest
from sqlalchemy import text

from glimpse.ledger import Ledger
from support.postgres import Postgres


# Every setting except `off` has a commit on this database's disk before it is acknowledged.
@pytest.mark.parametrize(
    ("setting", "held"),
    [("off", "on"), *((one, one) for one in ("local", "remote_write", "on", "remote_apply"))],
)
def test_a_commit_is_on_the_disk_whatever_is_set(server: Postgres, setting: str, held: str) -> None:
    url = server.database()
    name = url.rpartition("/")[2]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {setting}')  # type: ignore[arg-type,unused-ignore]
    with Ledger.open(url) as ledger:
        for _ in range(2):  # a reused connection keeps its setting
            with ledger.begin() as writer:
                assert writer.connection.scalar(text("SHOW synchronous_commit")) == held
