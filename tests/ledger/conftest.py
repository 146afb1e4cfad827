"""Where a ledger can be."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A data folder, or a database's URL."""
    if request.param == "sqlite":
        return tmp_path
    started: Postgres = request.getfixturevalue("server")
    return started.database()
