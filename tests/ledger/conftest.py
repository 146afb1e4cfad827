"""Places for ledgers: folders and PostgreSQL databases."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from glimpse.ledger import sqlite_url
from support.full_ledger import fill
from support.ledgers import Direct
from support.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Returns a data folder, or a database's URL."""
    if request.param == "sqlite":
        return tmp_path
    started: Postgres = request.getfixturevalue("server")
    return started.database()


@pytest.fixture(scope="session")
def full_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a ledger with rows of every kind."""
    folder = tmp_path_factory.mktemp("full")
    with Direct.of(folder) as ledger:
        fill(ledger)
    return folder


@pytest.fixture(scope="session")
def full_postgresql(server: Postgres) -> str:
    """Returns the URL of a PostgreSQL ledger with rows of every kind."""
    url = server.database()
    with Direct.of(url) as ledger:
        fill(ledger)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns the URL of this test's own ledger with rows of every kind."""
    if request.param == "sqlite":
        folder: Path = request.getfixturevalue("full_sqlite")
        return sqlite_url(shutil.copytree(folder, tmp_path / "full"))
    started: Postgres = request.getfixturevalue("server")
    return started.database(request.getfixturevalue("full_postgresql"))
