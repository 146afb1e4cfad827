"""Sets gRPC up before its first import, and provides the evaluation data."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Some tests fork processes, and gRPC's own fork handlers sometimes hang.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
# A command sets it too; if it changed during the tests, later servers would not be forks.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# Servers keep what they prepare in a cache, which lives as long as the tests. Their processes inherit the variable.
if "GLIMPSE_TEST_CACHE" not in os.environ:
    os.environ["GLIMPSE_TEST_CACHE"] = os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="glimpse-cache-")
    atexit.register(shutil.rmtree, os.environ["GLIMPSE_TEST_CACHE"], ignore_errors=True)


# These have an environment and a configuration of their own: `make test-integrations`.
collect_ignore = ["integrations"]


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """Returns the folder of real images and models. A test that needs it is skipped if there is none."""
    folder = Path(os.environ.get("GLIMPSE_EVAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no evaluation data at {folder}; set GLIMPSE_EVAL_DATA to its folder")
    return folder


# Files that take longest. They come first, so that several processes end at about the same time.
_LONGEST = (
    "test_real_data.py",
    "test_real_index.py",
    "test_replicas.py",
    "test_attached_index.py",
    "test_snapshot_starts.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in _LONGEST)
