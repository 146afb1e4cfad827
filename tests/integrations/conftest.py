"""A server over HTTP, run by the development environment; the tests have an environment of their own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

GLIMPSE = str(Path(__file__).parents[2] / ".venv" / "bin" / "glimpse")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def key(folder: Path) -> str:
    """Returns a key of the server with the scope classify: OpenAI's clients always send one."""
    command = [GLIMPSE, "keys", "create", "integrations", "--scope", "classify", "--data", str(folder / "data")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def url(folder: Path, key: str) -> Iterator[str]:
    """Returns the URL of a server with glimpse-mini, which requires no key."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")}
    command = [GLIMPSE, "serve", "--data", str(folder / "data"), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert server.stdout
        line = server.stdout.readline()
        assert line.startswith("listening on "), (folder / "server.log").read_text()
        yield line.split()[-1]
    finally:
        server.terminate()
        server.wait(30)
        if server.stdout:
            server.stdout.close()
    log_text = (folder / "server.log").read_text()
    assert "Traceback" not in log_text, log_text
