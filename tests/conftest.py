"""Where the evaluation data is."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of real images and models; tests that need it skip, saying so, where there is none."""
    folder = Path(os.environ.get("GLIMPSE_EVAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no evaluation data at {folder}; set GLIMPSE_EVAL_DATA to a folder with it")
    return folder
