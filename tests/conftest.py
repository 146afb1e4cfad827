"""Finds the evaluation data, and sets variables that gRPC reads at its import."""

import os
from pathlib import Path

import pytest

# Some tests fork, and gRPC's own fork handlers can hang.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """Returns the folder of real images and models; skips the test if there is none."""
    folder = Path(os.environ.get("GLIMPSE_EVAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no evaluation data at {folder}; set GLIMPSE_EVAL_DATA to a folder with it")
    return folder
