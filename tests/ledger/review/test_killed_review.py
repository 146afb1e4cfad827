"""Tests that a process that is killed between two statements of a review leaves everything or nothing of each step."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]


def test_a_process_killed_between_any_two_steps_leaves_nothing_half_done(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.killed_review", str(tmp_path)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    statements, states, forks = map(int, done.stdout.split())
    assert (statements > 100, states > 8, forks) == (True, True, 3)
