"""Server processes under test."""

import os
import subprocess
import sys
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
    """A running server process, its address and its log."""

    address: str
    process: subprocess.Popen[str]
    log: Path

    def status(self, field: str) -> int:
        """Returns a number from /proc/PID/status, such as `VmRSS` in kB or `Threads`. Raises KeyError."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise KeyError(field)


@contextmanager
def serving(
    folder: Path, bundle: Bundle, *, cores: set[int] | None = None, module: str = "glimpse.cli.main", **settings: object
) -> Iterator[Served]:
    """Runs a `glimpse serve` process with one backbone and settings.

    Args:
        folder: The folder for its data and log, which this function creates.
        bundle: The backbone.
        cores: The cores that the process may use; by default all.
        module: The module that runs the command.
        settings: Server settings by name.
    """
    folder.mkdir()
    log = folder / "server.log"
    environment = {**os.environ, **{f"GLIMPSE_{name.upper()}": str(value) for name, value in settings.items()}}
    command = [sys.executable, "-m", module, "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(folder / "data"), "--backbone", str(bundle.path)]
    with log.open("wb") as log_file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log_file, text=True, env=environment)
    assert process.stdout
    try:
        if cores:
            os.sched_setaffinity(process.pid, cores)  # before the process starts other threads, which inherit it
        address = process.stdout.readline().removeprefix("listening on ").strip()
        if not address:
            raise RuntimeError(log.read_text())
        yield Served(address, process, log)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
