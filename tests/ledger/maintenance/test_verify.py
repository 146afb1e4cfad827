"""Tests that verification finds every kind of damage and says what it is."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from glimpse.ledger import LedgerError, sqlite_url
from glimpse.ledger.maintenance.problems import ADVICE
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import quiet, unit
from support.ledgers import Direct


def damage(url: str, *statements: str, **values: object) -> None:
    """Changes rows as no server does, bypassing the ledger's checks."""
    engine = create_engine(url)
    with engine.begin() as connection:
        if url.startswith("postgresql"):
            connection.execute(text("SET session_replication_role = replica"))
        for statement in statements:
            done = connection.execute(text(statement), values)
            assert done.rowcount, statement
    engine.dispose()


def found(url: str) -> dict[str, list[str]]:
    """Returns the problems by kind; each has advice."""
    kinds: dict[str, list[str]] = {}
    for fault in verify(url, quiet):
        assert fault.advice
        kinds.setdefault(fault.kind, []).append(fault.what)
    return kinds


def test_a_whole_ledger_has_no_fault(full: str) -> None:
    assert found(full) == {}


def test_an_empty_ledger_has_no_fault(place: Path | str) -> None:
    Direct.of(place).close()
    assert found(place if isinstance(place, str) else sqlite_url(place)) == {}


def flipped(vector: bytes, place: int, bit: int) -> bytes:
    return vector[:place] + bytes([vector[place] ^ bit]) + vector[place + 1 :]


@pytest.mark.parametrize("byte", [0, 13, 31])
def test_a_flipped_bit_of_a_vector(full: str, byte: int) -> None:
    """The smallest change is found."""
    damage(full, "UPDATE examples SET vector = :new WHERE id = 'e1'", new=flipped(unit(1, 8), byte, 1))
    assert "'e1' of collection 'birds' is not what was enrolled" in found(full)["example"][0]


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        (unit(1, 8)[:-4], "has 28 bytes, not 32"),
        (b"\0\0\xc0\x7f" + unit(1, 8)[4:], "is not finite"),
        (bytes(32), "has length 0, not 1"),
    ],
    ids=["short", "not a number", "zero"],
)
def test_a_vector_that_is_none(full: str, vector: bytes, expected: str) -> None:
    damage(full, "UPDATE examples SET vector = :new WHERE id = 'e1'", new=vector)
    damage(full, "UPDATE labels SET prompt_vector = :new WHERE id = 'kite'", new=vector)
    first, second = found(full)["vector"]
    assert first.startswith("the vector of label 'kite'")
    assert second.startswith("the vector of example 'e1'")
    assert first.endswith(expected)
    assert second.endswith(expected)


# A statement, the kind of problem, and a part of its message.
_DAMAGES = [
    ("UPDATE api_keys SET revoke_time = NULL WHERE name = 'old'", "key", "the key 'old'"),
    (
        "UPDATE api_keys SET name = 'mine' WHERE name = 'phone'",
        "key",
        "the key 'mine' exists, but no change created it",
    ),
    (
        "DELETE FROM examples WHERE id = 'e4'",
        "missing",
        "example 'e4' of collection 'birds', of change 2, is missing",
    ),
    ("DELETE FROM examples WHERE id = 'e52'", "missing", "example 'e52' of collection 'small'"),
    ("UPDATE examples SET label_id = 'kite' WHERE id = 'e4'", "example", "has label 'kite', by the changes 'robin'"),
    ("UPDATE examples SET domain = 'elsewhere' WHERE id = 'e4'", "example", "is not what was enrolled"),
    ("UPDATE examples SET \"group\" = 'another' WHERE id = 'e6'", "example", "is not what was enrolled"),
    ("UPDATE examples SET \"group\" = '' WHERE id = 'e6'", "example", "is not what was enrolled"),
    ("UPDATE examples SET metadata = '{\"k\": \"v\"}' WHERE id = 'e4'", "example", "is not what was enrolled"),
    ("UPDATE examples SET sequence = 900 WHERE id = 'e4'", "example", "is number 900, by the changes 4"),
    ("UPDATE examples SET create_time = 5 WHERE id = 'e4'", "example", "was enrolled 5, by the changes"),
    ("UPDATE examples SET id = 'other' WHERE id = 'e4'", "example", "'other' of collection 'birds' exists, but no"),
    ("UPDATE examples SET content_digest = 'sha256:a' WHERE id = 'e4'", "digest", "'sha256:a' is not a content digest"),
    ("DELETE FROM labels WHERE id = 'kite'", "label", "label 'kite' of collection 'birds' is missing"),
    ("DELETE FROM labels WHERE id = 'robin'", "reference", "rows of examples refer to missing labels"),
    ("UPDATE labels SET id = 'cat' WHERE id = 'kite'", "label", "label 'cat' of collection 'birds' exists, but no"),
    ("UPDATE labels SET update_time = 4 WHERE id = 'none'", "label", "was updated 4, by the changes"),
    ("DELETE FROM collections WHERE id = 'gone'", "collection", "collection 'gone' is missing"),
    (
        "UPDATE collections SET revision = 2 WHERE id = 'birds'",
        "collection",
        "last changed (revision) 2, by the changes",
    ),
    ("UPDATE collections SET create_time = 2 WHERE id = 'birds'", "collection", "was created 2, by the changes"),
    ("DELETE FROM attachments", "index", "the index 'folded' is not attached to collection 'small'"),
    ("UPDATE attachments SET digest = 'x'", "index", "is that of digest 'x', by the changes"),
    ("UPDATE attachments SET digest = 'x'", "digest", "'x' is not a SHA-256"),
    ('DELETE FROM tombstones WHERE "row" = 2', "index", "row 2 of the index of collection 'small' is visible"),
    (
        "INSERT INTO tombstones VALUES ('small', 77)",
        "index",
        "row 77 of the index of collection 'small' was deleted",
    ),
    ("UPDATE requests SET digest = 'zz'", "digest", "requests of collection 'small': 'zz' is not a SHA-256"),
    ("UPDATE head SET revision = revision - 1", "head", "the last change is"),
    ("UPDATE head SET digest = 'aa'", "head", "the head's digest is not the last change's"),
    ("UPDATE head SET sequence = 3", "head", "the head's last example is number 3, but number"),
    ("DELETE FROM head", "head", "the ledger has 0 heads"),
    (
        "UPDATE changes SET subject = '{\"label\": \"wren\"}' WHERE kind = 'delete_label'",
        "chain",
        "does not match its digest",
    ),
    ("UPDATE changes SET subject = '{}' WHERE revision = 2", "chain", "change 2 does not match its digest"),
    ("UPDATE changes SET subject = '[1]' WHERE revision = 2", "chain", "change 2 is impossible"),
    ("UPDATE changes SET actor = 'somebody' WHERE revision = 3", "chain", "change 3 does not match its digest"),
    ("UPDATE changes SET time = 3 WHERE revision = 3", "chain", "change 3 does not match its digest"),
    ("UPDATE changes SET kind = 'explode' WHERE revision = 3", "chain", "there is no change of kind 'explode'"),
    ("DELETE FROM changes WHERE revision = 2", "chain", "changes 2 to 2 are missing"),
    ("DELETE FROM changes WHERE revision = (SELECT revision FROM head)", "head", "the last change is"),
]


@pytest.mark.parametrize(("statement", "kind", "expected"), _DAMAGES)
def test_every_damage_is_reported(full: str, statement: str, kind: str, expected: str) -> None:
    damage(full, statement)
    faults = found(full)
    assert any(expected in what for what in faults.get(kind, ())), faults


def test_a_change_that_was_edited_is_reported_once(full: str) -> None:
    """The changes after it are linked to the original digest."""
    damage(full, "UPDATE changes SET actor = 'somebody' WHERE revision = 3")
    assert found(full) == {"chain": ["change 3 does not match its digest"]}


def test_text_that_is_no_json(full_sqlite: Path, tmp_path: Path) -> None:
    tmp_path = shutil.copytree(full_sqlite, tmp_path / "full")
    url = sqlite_url(tmp_path)
    damage(url, "UPDATE changes SET subject = '{' WHERE revision = 3")
    damage(url, "UPDATE examples SET metadata = 'no' WHERE id = 'e1'")
    faults = found(url)
    assert "change 3: its subject is not JSON" in faults["chain"]
    assert "example 'e1' of collection 'birds': its metadata is not JSON" in faults["example"]


def test_a_file_that_is_cut(full_sqlite: Path, tmp_path: Path) -> None:
    tmp_path = shutil.copytree(full_sqlite, tmp_path / "full")
    file = tmp_path / "ledger.sqlite"
    content = file.read_bytes()
    for length in (len(content) - 4096, len(content) // 2, 100, 0):
        file.write_bytes(content[:length])
        with pytest.raises(LedgerError, match=r"cannot be opened|holds no ledger"):
            verify(sqlite_url(tmp_path), quiet)


def test_a_page_that_is_overwritten(full_sqlite: Path, tmp_path: Path) -> None:
    tmp_path = shutil.copytree(full_sqlite, tmp_path / "full")
    file = tmp_path / "ledger.sqlite"
    with sqlite3.connect(file) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'examples_by_label'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    content = bytearray(file.read_bytes())
    content[(root - 1) * size : root * size] = bytes(size)
    file.write_bytes(content)
    assert "database" in found(sqlite_url(tmp_path))


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"there is no ledger .*none\.sqlite"):
        verify(f"sqlite:///{tmp_path}/none.sqlite", quiet)
    assert not list(tmp_path.iterdir())
    sqlite3.connect(tmp_path / "empty.sqlite").execute("CREATE TABLE x (y)").connection.close()
    with pytest.raises(LedgerError, match="holds no ledger"):
        verify(f"sqlite:///{tmp_path}/empty.sqlite", quiet)


def test_many_faults_of_a_kind_are_counted_and_the_first_expected(full: str) -> None:
    damage(full, *(f"INSERT INTO tombstones VALUES ('small', {row})" for row in range(1000, 1150)))
    faults = verify(full, quiet)
    assert (len(faults), len(list(faults)), faults.counts["index"]) == (150, 100, 150)


def test_verify_changes_nothing(full_sqlite: Path, tmp_path: Path) -> None:
    tmp_path = shutil.copytree(full_sqlite, tmp_path / "full")
    before = (tmp_path / "ledger.sqlite").read_bytes()
    verify(sqlite_url(tmp_path), quiet)
    assert (tmp_path / "ledger.sqlite").read_bytes() == before


def test_every_kind_of_fault_has_a_test() -> None:
    tested = {kind for _, kind, _ in _DAMAGES} | {"vector", "database"}
    assert tested == ADVICE.keys()
