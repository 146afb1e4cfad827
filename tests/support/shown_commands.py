"""Runs the commands that a page shows in its `console` and `python` blocks.

    PYTHONPATH=tests python -m support.shown_commands README.md      writes the real output into the page

A `console` block has commands after `$ `, each followed by its output. A `python` block is followed by a `text` block
with its output. The commands of a section (below a `##` heading) run one after the other, in an empty folder where
`docs` and `examples` lead to the repository's folders. `glimpse serve` starts a real server on a free port for
the commands after it.
"""

import itertools
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.server import ServerProcess

ROOT = Path(__file__).parents[2]
_ADDRESS = "127.0.0.1:50051"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass
class Shown:
    """A command, or a Python program, the output that the page shows for it, and that output's place in the page."""

    code: str
    output: str
    start: int
    end: int
    python: bool = False


def sections(text: str) -> dict[str, list[Shown]]:
    """Returns the commands of a page by section."""
    found: dict[str, list[Shown]] = {}
    headings = [*re.finditer(r"^## (.*)$", text, re.MULTILINE)]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        if commands := _shown(text, heading.end(), end):
            found[heading[1]] = commands
    return found


def _shown(text: str, first: int, last: int) -> list[Shown]:
    found, program = list[Shown](), None
    for block in _BLOCK.finditer(text, first, last):
        if block[1] == "console":
            for command in _COMMAND.finditer(block[2]):
                start, end = block.start(2) + command.start(2), block.start(2) + command.end(2)
                found.append(Shown(command[1], command[2], start, end))
        elif block[1] == "python":
            program = block[2]
        elif block[1] == "text" and program is not None:
            found.append(Shown(program, block[2], block.start(2), block.end(2), python=True))
            program = None
    return found


@dataclass
class Shell:
    """An empty folder that is also the home folder, and the server that its commands use."""

    folder: Path
    server: ServerProcess | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("docs", "examples"):
            (self.folder / name).symlink_to(ROOT / name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GLIMPSE_", "XDG_"))}
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**kept, "HOME": str(self.folder), "PATH": path, "COLUMNS": "80"}

    def run(self, code: str, *, python: bool = False) -> str:
        """Runs a command, or a Python program, and returns its standard output. Raises AssertionError if it fails."""
        if code.startswith("glimpse serve"):
            return self._serve(code.split()[2:])
        program = [sys.executable, "-c", code.replace(_ADDRESS, self._address())]
        command = program if python else ["bash", "-euo", "pipefail", "-c", code]
        environment = {**self.environment, "GLIMPSE_SERVER": self._address()}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
        output = done.stdout.replace(str(self.folder), "~")
        return "".join(f"{line.rstrip()}\n" for line in output.splitlines())

    def _serve(self, arguments: list[str]) -> str:
        self.stop()
        pairs = itertools.pairwise(arguments)
        bundles = [self.folder / name for option, name in pairs if option == "--backbone"]
        data = self.folder / ".local" / "share" / "glimpse"
        self.server = ServerProcess(self.folder, *bundles, data=data)
        self.server.start()
        return f"listening on {_ADDRESS}\n"

    def _address(self) -> str:
        return self.server.address if self.server else _ADDRESS

    def stop(self) -> None:
        """Stops the server, if one runs."""
        if self.server:
            self.server.stop()
        self.server = None


@contextmanager
def shell(folder: Path) -> Iterator[Shell]:
    """Yields a shell in `folder`; its server is stopped in every outcome."""
    opened = Shell(folder)
    try:
        yield opened
    finally:
        opened.stop()


def main() -> None:
    """Writes the real output of every command into the pages that are named."""
    for page in map(Path, sys.argv[1:]):
        text = page.read_text("utf-8")
        outputs = list[tuple[Shown, str]]()
        for commands in sections(text).values():
            with tempfile.TemporaryDirectory() as folder, shell(Path(folder)) as opened:
                outputs += [(shown, opened.run(shown.code, python=shown.python)) for shown in commands]
        for shown, output in reversed(outputs):
            text = text[: shown.start] + output + text[shown.end :]
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
