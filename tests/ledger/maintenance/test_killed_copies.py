"""Tests that a process that is killed while it writes leaves nothing behind permanently."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glimpse.ledger import sqlite_url
from glimpse.ledger.maintenance.backup import back_up, restore
from glimpse.ledger.maintenance.parquet import export
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import everything, quiet

TESTS = Path(__file__).parents[2]


def killed(function: str, title: str, source: str | Path, target: str | Path) -> None:
    """Copies a ledger in another process, which kills itself when its progress reaches a title."""
    command = [sys.executable, "-m", "support.killed_copy", function, title, str(source), str(target)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("title", ["copying head", "examples"])
def test_a_killed_backup_is_removed_by_the_next_one(full_sqlite: Path, tmp_path: Path, title: str) -> None:
    url = sqlite_url(full_sqlite)
    killed("backup.back_up", title, url, tmp_path / "monday")
    assert len(list(tmp_path.iterdir())) == 1
    back_up(url, tmp_path / "tuesday", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["tuesday"]


def test_a_killed_export_is_removed_by_the_next_one(full_sqlite: Path, tmp_path: Path) -> None:
    url = sqlite_url(full_sqlite)
    killed("parquet.export", "exporting labels", url, tmp_path / "monday")
    assert len(list(tmp_path.iterdir())) == 1
    export(url, tmp_path / "tuesday", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["tuesday"]


@pytest.mark.parametrize("work", ["backup.restore", "parquet.import_"])
@pytest.mark.parametrize("title", ["", "examples"])
def test_a_killed_restore_leaves_an_empty_ledger_that_takes_the_next(
    full_sqlite: Path, tmp_path: Path, work: str, title: str
) -> None:
    url, target = sqlite_url(full_sqlite), tmp_path / "target"
    if work == "backup.restore":
        back_up(url, tmp_path / "saved", quiet)
    else:
        export(url, tmp_path / "saved", quiet, keys=True)
    killed(work, title, tmp_path / "saved", sqlite_url(target))
    back_up(url, tmp_path / "again", quiet)
    restore(tmp_path / "again", sqlite_url(target), quiet)
    assert everything(sqlite_url(target)) == everything(url)
    assert not verify(sqlite_url(target), quiet)
