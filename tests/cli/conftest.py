"""Fixtures that run the real command against a real server with a toy backbone, whose vectors are mean colours."""

import json
import os
import pty
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glimpse.cli.demo.server import own_server
from support.forked import ForkedProcess, run_forked
from support.server import GLIMPSE
from support.toy_bundle import COLOURS, make_toy_bundle

from .fake_server import FakeServer, fake_server


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_bundle(tmp_path_factory.mktemp("bundle") / "toy")


@pytest.fixture(scope="session")
def toy_server(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with own_server(tmp_path_factory.mktemp("server"), [toy_bundle]) as address:
        yield address


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with one subfolder of six pictures per colour."""
    folder = tmp_path_factory.mktemp("pictures") / "colours"
    rng = np.random.default_rng(0)
    for colour, rgb in COLOURS.items():
        (folder / colour).mkdir(parents=True)
        for number in range(6):
            pixels = np.clip(np.array(rgb) + rng.normal(0, 12, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / colour / f"{number}.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def environment(server: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GLIMPSE_")}
    return {**kept, "GLIMPSE_SERVER": server, "COLUMNS": "80"}


def run_glimpse(
    arguments: Sequence[object],
    server: str = "127.0.0.1:1",
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
    columns: int | None = None,
) -> Done:
    """Runs `glimpse …`; with `columns`, its stdout is a terminal of that width, without colours."""
    words, env = list(map(str, arguments)), environment(server)
    if columns:
        return _run_on_terminal(words, {**env, **(variables or {})}, cwd, columns)
    env = {**env, **(variables or {})}
    # Modules read some variables when they are imported, which a fork has done already.
    if all(name.startswith("GLIMPSE_") for name in variables or ()):
        forked = run_forked(words, env, cwd, 120)
        return Done(forked.returncode, forked.stdout, forked.stderr)
    done = subprocess.run(
        [*GLIMPSE, *words], capture_output=True, text=True, env=env, cwd=cwd, timeout=120, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _run_on_terminal(words: Sequence[str], env: Mapping[str, str], cwd: Path | None, columns: int) -> Done:
    outer, inner = pty.openpty()
    variables = {**env, "COLUMNS": str(columns), "NO_COLOR": "1"}
    with open(outer, "rb") as terminal, tempfile.TemporaryFile("w+", encoding="utf-8") as stderr:
        with open(inner, "wb") as stdout:
            process = ForkedProcess(words, variables, stdout=stdout, stderr=stderr, folder=cwd)
        out = b""
        with suppress(OSError):  # raised when the other end of the terminal is closed
            while part := os.read(terminal.fileno(), 65536):
                out += part
        code = process.wait(120)
        stderr.seek(0)
        return Done(code, out.decode().replace("\r\n", "\n"), stderr.read())


@pytest.fixture
def run(toy_server: str, tmp_path: Path) -> Run:
    """Runs `glimpse …` in an empty folder."""
    return lambda *arguments, **options: run_glimpse(arguments, toy_server, tmp_path, **options)


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server() as server:
        yield server


@pytest.fixture
def ask(fake: FakeServer, tmp_path: Path) -> Run:
    """Runs `glimpse …` against the fake server."""
    return lambda *arguments, **options: run_glimpse(arguments, fake.address, tmp_path, **options)


@pytest.fixture
def collection(run: Run, colours: Path, request: pytest.FixtureRequest) -> str:
    """Creates a collection for this test, with every picture of `colours` enrolled."""
    name = "c-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-50:].strip("-")
    done = run("enroll", name, colours, "--create")
    assert done.code == 0, done.err
    return name
