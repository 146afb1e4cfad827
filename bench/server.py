"""Server processes under test."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glimpse.backbone import Bundle
from glimpse.cli.demo.server import own_server


@contextmanager
def server_of(bundle: Bundle, folder: Path) -> Iterator[str]:
    """Runs a `glimpse serve` process with one backbone; yields its address.

    Args:
        bundle: The backbone.
        folder: The folder for its data, which this function creates.
    """
    folder.mkdir()
    with own_server(folder, [bundle.path]) as address:
        yield address


@dataclass(frozen=True)
class Served:
    """A running server process, its address and its log. `url` is empty without HTTP."""

    address: str
    process: subprocess.Popen[str]
    log: Path
    url: str = ""

    def status(self, field: str) -> int:
        """Returns a number from /proc/PID/status, such as `VmRSS` in kB or `Threads`. Raises KeyError."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise KeyError(field)


@contextmanager
def serving(
    folder: Path,
    bundle: Bundle,
    *,
    cores: set[int] | None = None,
    module: str = "glimpse.cli.main",
    tree: Path | None = None,
    **settings: object,
) -> Iterator[Served]:
    """Runs a `glimpse serve` process with one backbone and settings.

    Args:
        folder: The folder for its data and log, which this function creates.
        bundle: The backbone.
        cores: The cores that the process may use; by default all.
        module: The module that runs the command.
        tree: The source tree to run; by default the installed one.
        settings: Server settings by name.
    """
    folder.mkdir()
    log = folder / "server.log"
    environment = {**os.environ, **{f"GLIMPSE_{name.upper()}": str(value) for name, value in settings.items()}}
    if tree:
        environment["PYTHONPATH"] = os.pathsep.join(str(tree / root) for root in _source_roots(tree))
    command = [sys.executable, "-m", module, "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(folder / "data"), "--backbone", str(bundle.path)]
    with log.open("wb") as log_file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log_file, text=True, env=environment)
    assert process.stdout
    try:
        if cores:
            os.sched_setaffinity(process.pid, cores)  # before the process starts other threads, which inherit it
        # `listening on ADDRESS`, with HTTP `listening on ADDRESS and URL`
        line = process.stdout.readline().removeprefix("listening on ").strip()
        if not line:
            raise RuntimeError(log.read_text())
        address, _, url = line.partition(" and ")
        yield Served(address, process, log, url)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _source_roots(tree: Path) -> list[str]:
    """Returns the folders of a source tree that have packages."""
    hatch = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["hatch"]
    return list(hatch["build"]["dev-mode-dirs"])
