import socket
import subprocess
from pathlib import Path

import pytest

from support.console import ConsoleProcess, ask
from support.server import GLIMPSE


def test_an_address_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*GLIMPSE, "console", "--listen", f"127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "--listen" in line


@pytest.mark.rest
def test_the_demo_starts_a_server_with_data_and_stops_it(tmp_path: Path) -> None:
    with ConsoleProcess(tmp_path, "127.0.0.1:1", "--demo") as console:
        cookie = ask(console, "/").cookie
        # The session is anonymous, so the server of the demo answers.
        assert ask(console, "/", cookie=cookie).status == 200
