"""Tests flipped bytes, read-only disks and newer ledgers: one sentence says what is wrong, without a traceback."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from glimpse.ledger import CollectionRecord, Ledger, LedgerDamaged, LedgerError, sqlite_url
from glimpse.ledger.maintenance.backup import back_up
from glimpse.ledger.maintenance.parquet import export
from glimpse.ledger.maintenance.verify import verify
from support.disks import with_read_only
from support.full_ledger import everything, quiet

PAGE = 4096


def read(url: str) -> None:
    """Reads all that a server reads at its start, and writes once."""
    with Ledger.open(url) as ledger:
        ledger.keys()
        list(ledger.changes())
        ledger.since(0)
        for record in ledger.collections():
            ledger.labels(record.id)
            list(ledger.examples(record.id))
            ledger.attachment(record.id)
        with ledger.begin() as writer:
            writer.create_collection(CollectionRecord("fresh", "backbones/a", "sha256:a", 8))


def outcome(work: Callable[[], object]) -> object:
    try:
        return work()
    except LedgerError as refusal:
        return refusal


@pytest.mark.parametrize("part", range(2))
def test_a_flipped_byte_does_no_harm_or_is_reported(full_sqlite: Path, tmp_path: Path, part: int) -> None:
    content = (full_sqlite / "ledger.sqlite").read_bytes()
    before = everything(sqlite_url(full_sqlite))
    reported = 0
    for page in range(part, len(content) // PAGE, 8):
        # Flip the page's type, and the end of the last cell, which is a value.
        for place in (0 if page else 100, PAGE - 2):
            folder = tmp_path / f"{page}-{place}"
            folder.mkdir()
            harmed = bytearray(content)
            harmed[page * PAGE + place] ^= 0x55
            (folder / "ledger.sqlite").write_bytes(harmed)
            url = sqlite_url(folder)
            faults = outcome(partial(verify, url, quiet))
            copied = outcome(partial(back_up, url, folder / "copy", quiet))
            outcome(partial(read, url))
            if faults:
                reported += 1
            else:
                assert not isinstance(copied, Exception), copied
                copy = everything(f"sqlite:///{folder}/copy")
                assert (copy["examples"], copy["changes"]) == (before["examples"], before["changes"])
    assert reported


def damage(folder: Path, statement: str) -> str:
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        connection.execute(statement)
    connection.close()
    return sqlite_url(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE examples SET metadata = '{\"a' WHERE id = 'e1'",
        "UPDATE labels SET prompts = x'00' WHERE id = 'kite'",
        "UPDATE examples SET label_id = CAST(x'ff' AS TEXT) WHERE id = 'e1'",
        "UPDATE changes SET subject = 'null and' WHERE revision = 2",
    ],
)
def test_a_value_that_nothing_wrote_is_damage(full_sqlite: Path, tmp_path: Path, statement: str) -> None:
    url = damage(shutil.copytree(full_sqlite, tmp_path / "full"), statement)
    with pytest.raises(LedgerDamaged, match="`glimpse ledger verify` shows where"):
        read(url)
    assert verify(url, quiet)
    with pytest.raises(LedgerError):
        export(url, tmp_path / "export", quiet)


def test_a_ledger_on_a_read_only_disk_can_be_read(full_sqlite: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(full_sqlite, tmp_path / "full")
    url = sqlite_url(folder)
    program = with_read_only(folder)
    code = f"""
from pathlib import Path
from glimpse.ledger import Ledger, LedgerError
from glimpse.ledger.maintenance.backup import back_up
from glimpse.ledger.maintenance.verify import verify
from contextlib import nullcontext
quiet = lambda *_: nullcontext(lambda _: None)
assert not verify({url!r}, quiet)
back_up({url!r}, Path({str(tmp_path / "copy")!r}), quiet)
for work in (lambda: Ledger.open({url!r}), lambda: back_up({url!r}, Path({str(folder / "copy")!r}), quiet)):
    try:
        work()
    except LedgerError as error:
        print(error)
"""
    done = subprocess.run([*program, sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert not done.returncode, done.stderr
    opening, copying = done.stdout.splitlines()
    assert opening.endswith("its folder cannot be written, and a ledger keeps its log there; give another with --data")
    assert copying == f"{folder}/copy cannot be written: Read-only file system"
    assert everything(f"sqlite:///{tmp_path}/copy") == everything(url)


def test_a_ledger_of_a_later_version_is_left_alone(full_sqlite: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(full_sqlite, tmp_path / "full")
    url = damage(folder, "UPDATE alembic_version SET version_num = '9999'")
    before = (folder / "ledger.sqlite").read_bytes()
    for work in (
        lambda: Ledger.open(url),
        lambda: Ledger.open(url, exclusive=True),
        lambda: back_up(url, tmp_path / "copy", quiet),
        lambda: export(url, tmp_path / "export", quiet),
        lambda: verify(url, quiet),
    ):
        with pytest.raises(
            LedgerError, match=r"schema 9999, newer than this version supports; use the version that made it"
        ):
            work()
    assert (folder / "ledger.sqlite").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
