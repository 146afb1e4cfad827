"""Skipped tests: allowed in one round, an error in many."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("rounds", "code", "summary"), [("1", 0, "1 skipped"), ("2", 1, "1 failed")])
def test_a_missing_requirement_is_an_error_if_rounds_are_requested(
    tmp_path: Path, rounds: str, code: int, summary: str
) -> None:
    lacking = tmp_path / "unshare"
    lacking.write_text("#!/bin/sh\necho not here >&2\nexit 1\n")
    lacking.chmod(0o755)
    command = [sys.executable, "-m", "pytest", "-v", "-rs", str(Path(__file__).with_name("test_faults.py"))]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "GLIMPSE_CHAOS_ROUNDS": rounds}
    done = subprocess.run([*command, "-k", "disk_is_full"], env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout
    assert "no file system can be mounted: not here" in done.stdout
    assert summary in done.stdout
