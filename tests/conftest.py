"""Where the evaluation data is; and what gRPC is told before anything imports it."""

import os
from pathlib import Path

import pytest

# Some tests start processes by a fork, of which gRPC's own handlers do not always come back.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of real images and models; tests that need it skip, saying so, where there is none."""
    folder = Path(os.environ.get("GLIMPSE_EVAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no evaluation data at {folder}; set GLIMPSE_EVAL_DATA to a folder with it")
    return folder
