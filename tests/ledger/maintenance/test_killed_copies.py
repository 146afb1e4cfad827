"""Tests that a process that is killed while it writes leaves nothing behind permanently."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glimpse.ledger import sqlite_url
from glimpse.ledger.maintenance.backup import back_up, restore
from glimpse.ledger.maintenance.consistent_read import Progress
from glimpse.ledger.maintenance.parquet import export, import_
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import everything, quiet


def killed(work: Callable[[Progress], object], title: str) -> None:
    """Does some work in another process, and kills it when its progress reaches a title."""

    @contextmanager
    def progress(current: str, _total: int) -> Iterator[Callable[[int], None]]:
        if current.startswith(title):
            os.kill(os.getpid(), signal.SIGKILL)
        yield lambda _: None

    if not (child := os.fork()):
        try:
            work(progress)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


@pytest.mark.parametrize("title", ["copying head", "examples"])
def test_a_killed_backup_is_removed_by_the_next_one(full_sqlite: Path, tmp_path: Path, title: str) -> None:
    url = sqlite_url(full_sqlite)
    killed(lambda progress: back_up(url, tmp_path / "monday", progress), title)
    assert len(list(tmp_path.iterdir())) == 1
    back_up(url, tmp_path / "tuesday", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["tuesday"]


def test_a_killed_export_is_removed_by_the_next_one(full_sqlite: Path, tmp_path: Path) -> None:
    url = sqlite_url(full_sqlite)
    killed(lambda progress: export(url, tmp_path / "monday", progress), "exporting labels")
    assert len(list(tmp_path.iterdir())) == 1
    export(url, tmp_path / "tuesday", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["tuesday"]


@pytest.mark.parametrize("work", [restore, import_])
@pytest.mark.parametrize("title", ["", "examples"])
def test_a_killed_restore_leaves_an_empty_ledger_that_takes_the_next(
    full_sqlite: Path, tmp_path: Path, work: Callable[..., object], title: str
) -> None:
    url, target = sqlite_url(full_sqlite), tmp_path / "target"
    if work is restore:
        back_up(url, tmp_path / "saved", quiet)
    else:
        export(url, tmp_path / "saved", quiet, keys=True)
    killed(lambda progress: work(tmp_path / "saved", sqlite_url(target), progress), title)
    back_up(url, tmp_path / "again", quiet)
    restore(tmp_path / "again", sqlite_url(target), quiet)
    assert everything(sqlite_url(target)) == everything(url)
    assert not verify(sqlite_url(target), quiet)
