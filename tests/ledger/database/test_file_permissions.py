"""Tests that only the owner can read files with a ledger's content, for any umask."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from glimpse.ledger import sqlite_url
from glimpse.ledger.maintenance.backup import back_up, restore
from glimpse.ledger.maintenance.parquet import export, import_
from support.full_ledger import fill, quiet
from support.ledgers import Direct


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(*places: Path) -> dict[str, str]:
    """Returns the modes of files and folders by path."""
    return {str(one): oct(one.stat().st_mode & 0o777) for place in places for one in (place, *place.rglob("*"))}


def private(*places: Path) -> bool:
    return {mode: path for path, mode in modes(*places).items()}.keys() <= {"0o700", "0o600"}


def test_a_ledger_and_sqlites_files_are_private(tmp_path: Path) -> None:
    with Direct.of(sqlite_url(tmp_path)) as ledger:
        fill(ledger)
        found = sorted(tmp_path.iterdir())
        assert [file.name for file in found] == ["ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"]
        assert private(*found), modes(*found)


def test_copies_are_their_owner_s(full_sqlite: Path, tmp_path: Path) -> None:
    back_up(sqlite_url(full_sqlite), tmp_path / "backup", quiet)
    export(sqlite_url(full_sqlite), tmp_path / "out", quiet, keys=True)
    restore(tmp_path / "backup", sqlite_url(tmp_path / "restored"), quiet)
    import_(tmp_path / "out", sqlite_url(tmp_path / "imported"), quiet)
    made = [tmp_path / name for name in ("backup", "out", "restored", "imported")]
    assert private(*made), modes(*made)
    assert (tmp_path / "out" / "examples" / "birds.parquet").is_file()


def test_existing_files_keep_their_mode(full_sqlite: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(0o750)
    export(sqlite_url(full_sqlite), tmp_path / "out", quiet)
    (tmp_path / "data").mkdir(0o755)
    (tmp_path / "data" / "ledger.sqlite").touch(0o640)
    Direct.of(sqlite_url(tmp_path / "data")).ledger.close()
    found = modes(tmp_path / "out", tmp_path / "data")
    assert found[str(tmp_path / "out")] == "0o750"
    assert found[str(tmp_path / "data")] == "0o755"
    assert found[str(tmp_path / "data" / "ledger.sqlite")] == "0o640"
