"""The TypeScript client, checked and built once for all tests of this folder."""

import pytest

from support.npm import FOLDER, npm


@pytest.fixture(scope="session")
def built() -> None:
    """Checks the types and builds the client, with the packages of its lock file."""
    if not (FOLDER / "node_modules" / ".ready").exists():
        npm("ci", "--no-audit", "--no-fund")
    npm("run", "check")
    npm("run", "build")
