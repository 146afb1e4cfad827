"""The snippets of docs/http.md run against a real server."""

import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.http_calls import request
from support.server import ServerProcess

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "http.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8080"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
CALLS = [content for language, content in BLOCKS if language == "sh" and "curl" in content]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Returns a server with glimpse-mini, as the page's first command starts it."""
    with ServerProcess(tmp_path_factory.mktemp("http"), http="127.0.0.1:0") as process:
        yield process


def run(server: ServerProcess, *command: str) -> str:
    environment = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}
    words = [word.replace(ADDRESS, server.url) for word in command]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_commands_with_curl_and_buf_run_in_order(server: ServerProcess) -> None:
    colours, picture, backbones = CALLS
    assert '"labelId":"warm"' in run(server, "sh", "-ec", colours)
    assert '"embeddingSpace"' in run(server, "bash", "-ec", picture)
    assert "backbones/glimpse-mini" in run(server, "sh", "-ec", backbones)


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_the_program_for_node_runs(server: ServerProcess) -> None:
    [program] = [content for language, content in BLOCKS if language == "js"]
    assert int(run(server, "node", "--input-type=module", "--eval", program)) > 1


def test_the_error_of_the_page_is_the_servers(server: ServerProcess) -> None:
    [shown] = [content for language, content in BLOCKS if language == "json"]
    content, headers = b'{"name": "backbones/none"}', [("content-type", "application/json")]
    status, _, answer = request(server.url, "/glimpse.v1.EmbeddingService/GetBackbone", content, headers)
    found = json.loads(answer)
    found["details"] = found["details"][:1]  # the page leaves out the field
    assert (status, found) == (404, json.loads(shown))


def test_the_page_says_that_the_program_in_go_is_not_run() -> None:
    assert re.search(r"No test runs\s+this snippet:\s+```go", PAGE)
