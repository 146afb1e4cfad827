"""Tests the ledger on a real SQLite file and in a real PostgreSQL."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import URL, select

from glimpse.ledger import (
    AlreadyExists,
    CollectionRecord,
    DataFolderInUse,
    Enrolled,
    EnrollRequest,
    ExampleRecord,
    FolderLock,
    LabelRecord,
    Ledger,
    LedgerError,
    NotFound,
    RequestIdReused,
    sqlite_url,
)
from glimpse.ledger.database import schema
from glimpse.ledger.database.database import migrate, open_engine
from glimpse.ledger.database.schema import metadata
from glimpse.ledger.database.url import DATABASE_NAME, parse_url
from support.ledgers import Direct


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Direct]:
    with Direct.of(place) as ledger:
        ledger.create_collection(CollectionRecord("birds", "backbones/b", "space", 2))
        yield ledger


def example(name: str, label: str = "robin", digest: str | None = None) -> ExampleRecord:
    return ExampleRecord(name, label, digest or f"sha256:{name}", 1, b"\0" * 8, "garden", {"k": "v"})


def enroll(ledger: Direct, *examples: ExampleRecord, labels: tuple[str, ...] = ("robin",)) -> Enrolled:
    enrolled = ledger.enroll("birds", [LabelRecord(label) for label in labels], examples)
    assert isinstance(enrolled, Enrolled)
    return enrolled


def test_written_rows_are_read_by_another_process(ledger: Direct, place: Path | str) -> None:
    enroll(ledger, example("a"), example("b"))
    ledger.close()
    with Direct.of(place) as again:
        [collection] = again.collections()
        assert (collection.id, collection.revision) == ("birds", 2)
        first, second = again.examples("birds")
        assert replace(first, sequence=0, create_time=0) == example("a")
        assert first.sequence < second.sequence
        assert [label.id for label in again.labels("birds")] == ["robin"]
        assert again.revision == 2


def test_revisions_have_no_gaps_and_refused_writes_make_none(ledger: Direct) -> None:
    revisions = [ledger.revision]
    with pytest.raises(AlreadyExists):
        ledger.create_collection(CollectionRecord("birds", "b", "s", 2))
    revisions.append(enroll(ledger, example("a")).revision)
    with pytest.raises(NotFound):
        ledger.enroll("birds", [], [example("b"), example("c", "nobody")])
    with pytest.raises(NotFound):
        ledger.delete_example("birds", "nothing")
    revisions.append(ledger.create_label("birds", LabelRecord("wren"))[1])
    revisions.append(ledger.delete_label("birds", "wren"))
    revisions.append(ledger.delete_example("birds", "a"))
    assert revisions == [1, 2, 3, 4, 5]


def test_an_enrolment_is_all_or_nothing(ledger: Direct) -> None:
    with pytest.raises(NotFound):
        ledger.enroll("birds", [LabelRecord("robin")], [example("a"), example("b", "nobody")])
    assert not list(ledger.examples("birds"))
    assert not ledger.labels("birds")


def test_content_is_once_under_each_label(ledger: Direct) -> None:
    enrolled = enroll(ledger, example("a", digest="x"), example("b", digest="x"))
    assert enrolled.duplicates == [False, True]
    assert enrolled.examples[1].id == "a"
    other = enroll(ledger, example("c", "wren", "x"), labels=("wren",))
    assert [[one.id for one in conflicts] for conflicts in other.conflicts] == [["a"]]


def test_a_request_is_answered_once(ledger: Direct) -> None:
    request = EnrollRequest("r", "digest", lambda enrolled: f"made {enrolled.revision}".encode())
    assert ledger.stored_response("birds", request) is None
    first = ledger.enroll("birds", [LabelRecord("robin")], [example("a")], request)
    assert isinstance(first, Enrolled)
    assert ledger.enroll("birds", [], [example("z")], request) == b"made 2"
    assert ledger.stored_response("birds", request) == b"made 2"
    assert ledger.revision == 2
    with pytest.raises(RequestIdReused, match="other content"):
        ledger.enroll("birds", [], [example("z")], replace(request, digest="other"))


def test_deleting_a_collection_deletes_its_content(ledger: Direct) -> None:
    enroll(ledger, example("a"), example("b", "wren"), labels=("robin", "wren"))
    ledger.delete_label("birds", "wren")
    assert [one.id for one in ledger.examples("birds")] == ["a"]
    ledger.delete_collection("birds")
    assert not ledger.collections()
    assert not list(ledger.examples("birds"))
    ledger.create_collection(CollectionRecord("birds", "b", "s", 2))
    assert not ledger.labels("birds")


def test_a_sequence_number_is_never_used_again(ledger: Direct) -> None:
    """A sequence number identifies a vector in an index: a late answer must not name another example."""
    [first] = enroll(ledger, example("a")).examples
    ledger.delete_example("birds", "a")
    [second] = enroll(ledger, example("a")).examples
    assert second.sequence > first.sequence


def test_every_commit_is_synced(tmp_path: Path) -> None:
    ledger = Direct.of(tmp_path)
    with ledger._engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2}  # 2: FULL
    ledger.close()


def test_migrations_make_just_the_schema(place: Path | str) -> None:
    engine = open_engine(parse_url(place if isinstance(place, str) else sqlite_url(place)))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_data_of_the_first_version_is_read(tmp_path: Path) -> None:
    file = tmp_path / DATABASE_NAME
    migrate(URL.create("sqlite", database=str(file)), "0001")
    with sqlite3.connect(file) as old:
        old.execute("INSERT INTO collections VALUES ('birds', 'Birds', 'backbones/b', 'space', 2, 0.7, NULL, 1, 2, 3)")
        old.execute("INSERT INTO labels VALUES ('birds', 'robin', '', '[]', NULL, 4, 5)")
        old.execute("INSERT INTO examples VALUES (7, 'birds', 'a', 'robin', 'sha256:a', 1, '', '{}', x'00', 6)")
    old.close()
    with Direct.of(tmp_path) as ledger:
        wanted = CollectionRecord("birds", "backbones/b", "space", 2, "Birds", 0.7, revision=1, create_time=2)
        assert ledger.collections() == [replace(wanted, update_time=3)]
        assert ledger.labels("birds") == [LabelRecord("robin", create_time=4, update_time=5)]
        [found] = ledger.examples("birds")
        assert (found.id, found.sequence, found.embedding_space) == ("a", 7, None)


def test_data_of_the_previous_version_is_read(tmp_path: Path) -> None:
    file = tmp_path / DATABASE_NAME
    migrate(URL.create("sqlite", database=str(file)), "0002")
    names = "id, display_name, backbone, embedding_space, dimension, min_space_cosine, names_as_prompts"
    with sqlite3.connect(file) as old:
        old.execute(
            f"INSERT INTO collections ({names}, revision, create_time, update_time)"
            " VALUES ('birds', 'Birds', 'backbones/b', 'space', 2, 0.9, 1, 1, 2, 3)"
        )
        old.execute("INSERT INTO labels VALUES ('birds', 'robin', '', '[\"a robin\"]', x'00', 4, 5)")
        old.execute("INSERT INTO examples VALUES (7, 'birds', 'a', 'robin', 'sha256:a', 1, '', '{}', x'00', 6, 's2')")
    old.close()
    with Direct.of(tmp_path) as ledger:
        [birds] = ledger.collections()
        assert (birds.min_space_cosine, birds.names_as_prompts, birds.update_time) == (0.9, True, 3)
        assert (birds.false_reject_rate, birds.false_accept_rate, birds.coverage) == (None, None, None)
        assert (birds.label_mode, birds.pinned_head) == (0, 0)
        assert ledger.labels("birds") == [LabelRecord("robin", "", ("a robin",), b"\0", 0, 4, 5)]
        assert [(one.id, one.embedding_space) for one in ledger.examples("birds")] == [("a", "s2")]


def test_accepted_spaces_and_use_of_names_are_stored(ledger: Direct, place: Path | str) -> None:
    [before] = ledger.collections()
    assert (before.min_space_cosine, before.names_as_prompts) == (None, False)
    changed = ledger.update_collection(replace(before, min_space_cosine=0.99, names_as_prompts=True))
    ledger.close()
    with Direct.of(place) as again:
        assert again.collections() == [changed]


def test_rates_and_head_of_a_collection_are_stored(ledger: Direct, place: Path | str) -> None:
    [before] = ledger.collections()
    rates = {"false_reject_rate": 0.1, "false_accept_rate": 0.01, "coverage": 0.95}
    changed = ledger.update_collection(replace(before, **rates, pinned_head=4))
    ledger.close()
    with Direct.of(place) as again:
        assert again.collections() == [changed]
        again.update_collection(replace(changed, false_reject_rate=None, coverage=None, pinned_head=0))
        [unset] = again.collections()
        assert (unset.false_reject_rate, unset.false_accept_rate, unset.coverage) == (None, 0.01, None)
        assert unset.pinned_head == 0


def test_whether_labels_exclude_each_other_is_fixed(ledger: Direct) -> None:
    made = ledger.create_collection(CollectionRecord("tags", "backbones/b", "space", 2, label_mode=2))
    ledger.update_collection(replace(made, label_mode=1, display_name="Tags"))
    [tags] = [one for one in ledger.collections() if one.id == "tags"]
    assert (tags.label_mode, tags.display_name) == (2, "Tags")


def test_a_label_keeps_its_role(ledger: Direct) -> None:
    none, _ = ledger.create_label("birds", LabelRecord("none", role=2))
    ledger.update_label("birds", replace(none, display_name="None of these"))
    enroll(ledger, example("a"), labels=("robin", "none"))
    assert [(one.id, one.role) for one in ledger.labels("birds")] == [("none", 2), ("robin", 0)]


def test_a_collection_is_asked_for_contents_of_its_own(ledger: Direct) -> None:
    enroll(ledger, example("a"), example("b"))
    ledger.create_collection(CollectionRecord("others", "backbones/b", "space", 2))
    many = [f"sha256:{number}" for number in range(20_000)]
    assert ledger.holds_any("birds", [*many, "sha256:b"])
    assert not ledger.holds_any("birds", many)
    assert not ledger.holds_any("birds", [])
    assert not ledger.holds_any("others", ["sha256:a"])


def test_an_example_keeps_the_space_of_its_vector(ledger: Direct) -> None:
    enroll(ledger, example("a"), replace(example("b"), embedding_space="another"))
    assert [one.embedding_space for one in ledger.examples("birds")] == [None, "another"]


def test_an_interrupted_first_start_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[str] = []

    def create_two(name: str, *columns: object, **options: object) -> None:
        if len(created) == 2:
            raise SystemExit
        created.append(name)
        create_table(name, *columns, **options)  # type: ignore[arg-type]

    create_table = op.create_table
    monkeypatch.setattr(op, "create_table", create_two)
    with pytest.raises(SystemExit):
        Direct.of(tmp_path)
    assert len(created) == 2
    monkeypatch.undo()
    Direct.of(tmp_path).close()


def test_copying_a_table_in_a_migration_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Direct.of(tmp_path) as ledger:
        ledger.create_collection(CollectionRecord("birds", "backbones/b", "space", 2))
        enroll(ledger, example("a"))

    def copy_collections(config: Config, _: str) -> None:
        operations = Operations(MigrationContext.configure(config.attributes["connection"]))
        with operations.batch_alter_table("collections", recreate="always"):
            pass

    monkeypatch.setattr(command, "upgrade", copy_collections)
    with Direct.of(tmp_path) as again:
        assert [one.id for one in again.examples("birds")] == ["a"]
        assert [label.id for label in again.labels("birds")] == ["robin"]


def test_a_change_names_the_added_rows_and_nothing_else(ledger: Direct) -> None:
    enroll(ledger, example("a"))
    assert enroll(ledger, example("b", digest="sha256:a")).revision == 2  # the same content: no change
    enroll(ledger, example("c"), example("d", digest="sha256:a"), labels=())
    with ledger._engine.connect() as connection:
        subjects = connection.scalars(select(schema.changes.c.subject).order_by(schema.changes.c.revision)).all()
    digests = [[one.digest] for one in (example("a"), example("c"))]
    assert subjects == [
        {},
        {"labels": ["robin"], "examples": ["a"], "first": 1, "under": [["robin", 1]], "digests": digests[0]},
        {"examples": ["c"], "first": 2, "under": [["robin", 1]], "digests": digests[1]},
    ]


def test_writes_to_a_deleted_collection_are_refused(ledger: Direct) -> None:
    ledger.delete_collection("birds")
    with pytest.raises(NotFound, match="collection 'birds'"):
        ledger.create_label("birds", LabelRecord("robin"))
    with pytest.raises(NotFound, match="collection 'birds'"):
        enroll(ledger, example("a"))


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    Direct.of(tmp_path / "what?x=1#y").close()
    assert (tmp_path / "what?x=1#y" / "ledger.sqlite").is_file()


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(DataFolderInUse, match=r"in use by process \d+"):
        FolderLock(tmp_path)
    FolderLock(tmp_path).release()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_lock_ends_with_its_process_though_a_child_lives(tmp_path: Path, kind: str) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from glimpse.ledger import FolderLock, Ledger, sqlite_url
folder = Path({str(tmp_path)!r})
held = FolderLock(folder) if {kind!r} == "folder" else Ledger.open(sqlite_url(folder), exclusive=True)
if not os.fork():
    print(os.getpid(), flush=True)  # by then it has closed its copy of the lock
    os.close(1)
    time.sleep(60)
sys.stdin.read()
"""
    again = FolderLock if kind == "folder" else lambda folder: Ledger.open(sqlite_url(folder), exclusive=True)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            with pytest.raises(LedgerError, match=f"in use by process {process.pid}"):
                again(tmp_path)
            process.kill()
            process.wait()
            os.kill(child, 0)  # the child is alive
            with again(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_damaged_database_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"not a database, but somebody's" * 200)
    with pytest.raises(LedgerError, match="not a database"):
        Direct.of(tmp_path)
    assert file.read_bytes().startswith(b"not a database")
    file.unlink()
    sqlite3.connect(file).close()
    Direct.of(tmp_path).close()  # the failed opening left no lock behind
