"""A call enters few packages and switches rarely between them; support/call_path.py counts both."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: Counts of commit 89c0b32, with its modules mapped to the present packages. Switches may be two thirds of these.
BASELINE = {"Classify": 99, "EnrollExamples": 152}
#: The most packages that a call may enter.
MAX_PACKAGES = {"Classify": 15, "EnrollExamples": 17}
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def paths() -> Any:
    """Returns the counts, measured in a separate process, because the profiler slows every thread down."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")}
    done = subprocess.run(
        [sys.executable, "-m", "support.call_path", "--json"],
        cwd=TESTS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("rpc", sorted(BASELINE))
def test_a_call_enters_few_packages(paths: Any, rpc: str) -> None:
    assert len(paths[rpc]["packages"]) <= MAX_PACKAGES[rpc]


@pytest.mark.parametrize("rpc", sorted(BASELINE))
def test_a_call_switches_little_between_packages(paths: Any, rpc: str) -> None:
    assert 3 * paths[rpc]["package_switches"] <= 2 * BASELINE[rpc]
