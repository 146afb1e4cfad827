"""Tests that a process that is killed while it writes leaves nothing behind permanently."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import glimpse.backbone.scratch
import glimpse.index.storage.scratch
import glimpse.ledger.database.scratch
from glimpse.ledger import sqlite_url
from glimpse.ledger.maintenance.backup import back_up, restore
from glimpse.ledger.maintenance.consistent_read import Progress
from glimpse.ledger.maintenance.parquet import export, import_
from glimpse.ledger.maintenance.verify import verify
from support.full_ledger import everything, quiet

MODULES = [glimpse.ledger.database.scratch, glimpse.index.storage.scratch, glimpse.backbone.scratch]


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


@pytest.mark.parametrize("module", MODULES)
def test_a_folder_is_removed_only_after_its_process_has_ended(module: ModuleType, tmp_path: Path) -> None:
    scratch_beside = module.scratch_beside
    code = f"""
import os, sys
from pathlib import Path
from {module.__name__} import scratch_beside
with scratch_beside(Path({str(tmp_path / ("ü" * 100))!r})) as folder:
    (folder / "half").write_text("written")
    print("there", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        [other] = tmp_path.iterdir()
        with scratch_beside(tmp_path / "x") as folder:
            assert (other / "content" / "half").exists()
            assert folder.stat().st_mode & 0o777 == 0o700
            process.kill()
            process.wait()
            assert sorted(tmp_path.iterdir()) == sorted([other, folder.parent])
    with scratch_beside(tmp_path / "y") as folder:
        assert list(tmp_path.iterdir()) == [folder.parent]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", MODULES)
def test_folders_that_are_not_known_to_be_left_stay(module: ModuleType, tmp_path: Path) -> None:
    own = f".own.{'a' * 16}.tmp"
    (tmp_path / own).mkdir()
    (tmp_path / own / "file").touch()  # without a lock
    (tmp_path / f".file.{'b' * 16}.tmp").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".lock").touch()
    (tmp_path / f".link.{'c' * 16}.tmp").symlink_to(elsewhere)
    (tmp_path / f".empty.{'d' * 16}.tmp").mkdir()  # killed before it had a lock
    before = set(tmp_path.iterdir())
    module.remove_left(tmp_path)
    assert before - set(tmp_path.iterdir()) == {tmp_path / f".empty.{'d' * 16}.tmp"}
    assert (elsewhere / ".lock").exists()


def test_many_at_once_do_not_remove_each_other(tmp_path: Path) -> None:
    def use(number: int) -> bool:
        with glimpse.ledger.database.scratch.scratch_beside(tmp_path / "same") as folder:
            (folder / "file").write_text(str(number))
            return (folder / "file").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
    assert not list(tmp_path.iterdir())


def test_the_three_packages_have_the_same_helper() -> None:
    ledger, index, backbone = (Path(str(module.__file__)).read_text() for module in MODULES)
    assert ledger == index
    start = backbone.index("@contextmanager\ndef scratch_folder")
    end = backbone.index("def remove_left")
    assert (backbone[:start] + backbone[end:]).replace("import tempfile\n", "") == ledger
