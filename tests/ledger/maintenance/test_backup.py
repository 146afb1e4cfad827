"""Tests that a backup holds one state of the ledger, and can be restored into either database."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from glimpse.ledger import CollectionRecord, Enrollment, LabelRecord, Ledger, LedgerError, sqlite_url
from glimpse.ledger.database.database import migrate
from glimpse.ledger.database.url import parse_url
from glimpse.ledger.maintenance import backup as module
from glimpse.ledger.maintenance.backup import back_up, restore
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import everything, example, quiet
from support.ledgers import Direct


@pytest.fixture
def saved(full_sqlite: Path, tmp_path: Path) -> Path:
    """Returns a backup of a full ledger."""
    back_up(sqlite_url(full_sqlite), tmp_path / "saved", quiet)
    return tmp_path / "saved"


def url_of(place: Path | str) -> str:
    return place if isinstance(place, str) else sqlite_url(place)


def test_a_backup_is_the_same_ledger_in_one_file(full: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    before = everything(full)
    copied = back_up(full, folder / "today", quiet)
    assert [file.name for file in folder.iterdir()] == ["today"]
    assert everything(f"sqlite:///{folder}/today") == before == everything(full)
    assert copied.rows == {name: len(rows) for name, rows in before.items()}
    assert copied.dependencies.backbones == [("backbones/a", "sha256:a"), ("backbones/b", "sha256:b")]
    [(index, digest)] = copied.dependencies.indexes
    assert (index, len(digest)) == ("folded", 64)
    with Ledger.open(f"sqlite:///{folder}/today") as ledger:
        assert ledger.head() == copied.head


def test_a_restored_ledger_is_the_same_and_goes_on(saved: Path, place: Path | str) -> None:
    copied = restore(saved, url_of(place), quiet)
    assert everything(url_of(place)) == everything(f"sqlite:///{saved}")
    with Direct.of(place) as ledger:
        assert ledger.head() == copied.head
        ledger.enroll("birds", [LabelRecord("robin")], [example(70, "robin")])
        assert ledger.revision == copied.head.revision + 1
    assert not verify(url_of(place), quiet)


def test_a_backup_is_of_one_moment_and_holds_up_no_writer(place: Path | str, tmp_path: Path) -> None:
    with Direct.of(place) as ledger:
        ledger.create_collection(CollectionRecord("c", "backbones/a", "sha256:a", 8))
        ledger.enroll("c", [LabelRecord("a")], [example(number, "a") for number in range(2_500)])
        numbers = iter(range(5_000, 6_000))

        class Transaction:
            """Writes whenever progress is reported."""

            def __init__(self, *_: object) -> None: ...

            def __enter__(self) -> object:
                return self._advance

            def __exit__(self, *_: object) -> None: ...

            def _advance(self, _count: int) -> None:
                ledger.enroll("c", [], [example(next(numbers), "a")])

        copied = back_up(ledger.url, tmp_path / "saved", Transaction)  # type: ignore[arg-type]
        assert ledger.revision > copied.head.revision
        assert copied.head.revision == 2
        assert copied.rows["examples"] == 2_500
        assert not verify(ledger.url, quiet)
    assert not verify(f"sqlite:///{tmp_path}/saved", quiet)


def test_a_file_that_is_there_stays_unless_forced(saved: Path, full_sqlite: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(LedgerError, match="is there already"):
        back_up(sqlite_url(full_sqlite), saved, quiet)
    assert saved.read_bytes() == before
    back_up(sqlite_url(full_sqlite), saved, quiet, force=True)
    assert everything(f"sqlite:///{saved}") == everything(sqlite_url(full_sqlite))


def test_a_backup_that_fails_leaves_nothing(full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "put", fail)
    with pytest.raises(LedgerError, match="No space left"):
        back_up(full, tmp_path / "saved", quiet)
    assert not [file for file in tmp_path.iterdir() if "saved" in file.name]


def test_a_damaged_ledgers_copy_is_kept_under_another_name(full_sqlite: Path, saved: Path, tmp_path: Path) -> None:
    """The good backup that exists is not lost."""
    folder = shutil.copytree(full_sqlite, tmp_path / "damaged")
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        connection.execute("UPDATE examples SET domain = 'x' WHERE id = 'e1'")
    connection.close()
    before = saved.read_bytes()
    with pytest.raises(LedgerError, match=r"kept as .*saved\.faulty: example 'e1'"):
        back_up(sqlite_url(folder), saved, quiet, force=True)
    assert saved.read_bytes() == before
    with pytest.raises(LedgerError, match="rolled back: example 'e1'"):
        restore(tmp_path / "saved.faulty", sqlite_url(tmp_path / "new"), quiet)
    with Direct.of(tmp_path / "new") as ledger:
        assert (ledger.revision, ledger.collections()) == (0, [])


def test_only_an_empty_ledger_is_filled(saved: Path, full: str) -> None:
    before = everything(full)
    with pytest.raises(LedgerError, match=r"is not empty \(revision \d+\); fill a new one"):
        restore(saved, full, quiet)
    assert everything(full) == before


def test_a_ledger_that_another_process_has_open_is_not_filled(saved: Path, place: Path | str) -> None:
    with Direct.of(place) as ledger:
        assert ledger.revision == 0
        with pytest.raises(LedgerError, match=r"in use.*stop every"):
            restore(saved, url_of(place), quiet)
        assert ledger.revision == 0
    restore(saved, url_of(place), quiet)


def test_a_restore_that_fails_on_its_way_leaves_the_ledger_empty(
    saved: Path, place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: object, table: object, rows: list[object]) -> None:
        if str(table) == "examples":
            raise KeyboardInterrupt
        put(connection, table, rows)

    put = module.__dict__["put"]
    monkeypatch.setattr(module, "put", fail)
    with pytest.raises(KeyboardInterrupt):
        restore(saved, url_of(place), quiet)
    monkeypatch.undo()
    with Direct.of(place) as ledger:
        assert (ledger.revision, ledger.collections()) == (0, [])
    restore(saved, url_of(place), quiet)
    assert everything(url_of(place)) == everything(f"sqlite:///{saved}")


def test_a_ledger_of_an_earlier_version_is_copied_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    migrate(parse_url(f"sqlite:///{file}"), "0001")
    with sqlite3.connect(file) as old:
        old.execute("INSERT INTO changes VALUES (1, 'create_collection', 'birds', '{}', 2)")
        old.execute("INSERT INTO collections VALUES ('birds', '', 'b', 's', 2, 0.7, NULL, 1, 2, 2)")
        old.execute("INSERT INTO sqlite_sequence VALUES ('examples', 41)")
    old.close()
    with pytest.raises(LedgerError, match=r"has schema 0001.*with `glimpse ledger backup`"):
        verify(f"sqlite:///{file}", quiet)
    copied = back_up(f"sqlite:///{file}", tmp_path / "saved", quiet)
    assert (copied.head.revision, copied.head.sequence) == (1, 41)
    assert not verify(f"sqlite:///{tmp_path}/saved", quiet)
    with sqlite3.connect(file) as old:
        assert old.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    old.close()


def test_a_ledger_of_a_later_version_is_refused(full: str, tmp_path: Path) -> None:
    engine = create_engine(full)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerError, match="has schema 9999, newer than this version"):
        back_up(full, tmp_path / "saved", quiet)


def test_enrolments_of_one_transaction_are_replayed_one_by_one(place: Path | str) -> None:
    with Direct.of(place) as ledger:
        ledger.create_collection(CollectionRecord("c", "backbones/a", "sha256:a", 8))
        with ledger.ledger.begin() as writer:
            writer.enroll(
                [
                    Enrollment("c", [LabelRecord("a"), LabelRecord("b")], [example(1, "a"), example(2, "b")]),
                    Enrollment("c", [LabelRecord("a")], [example(1, "a"), example(3, "a")]),
                    Enrollment("c", [], [example(4, "nobody")]),
                    Enrollment("c", [], [example(5, "b"), example(5, "b"), example(6, "a")]),
                ]
            )
            writer.delete_label("c", "b")
        assert [one.id for one in ledger.examples("c")] == ["e1", "e3", "e6"]
        assert not verify(ledger.url, quiet)
