"""Tests that temporary folders go with their process, and never before it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from glimpse.files.scratch import remove_left, scratch_beside


def test_a_folder_is_removed_only_after_its_process_has_ended(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from glimpse.files.scratch import scratch_beside
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


def test_folders_that_are_not_known_to_be_left_stay(tmp_path: Path) -> None:
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
    remove_left(tmp_path)
    assert before - set(tmp_path.iterdir()) == {tmp_path / f".empty.{'d' * 16}.tmp"}
    assert (elsewhere / ".lock").exists()


def test_many_at_once_do_not_remove_each_other(tmp_path: Path) -> None:
    def use(number: int) -> bool:
        with scratch_beside(tmp_path / "same") as folder:
            (folder / "file").write_text(str(number))
            return (folder / "file").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
    assert not list(tmp_path.iterdir())
