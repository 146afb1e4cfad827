"""A server under test."""

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
    """A `glimpse serve` process with one backbone and its data in `folder`, which it makes; yields its address."""
    folder.mkdir()
    with own_server(folder, [bundle.path]) as address:
        yield address


@dataclass(frozen=True)
class Served:
    """A server's process, so that it can be weighed."""

    address: str
    process: subprocess.Popen[str]
    log: Path

    def status(self, field: str) -> int:
        """A number of /proc/PID/status: `VmRSS` in kB, `Threads`, …"""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise KeyError(field)


@contextmanager
def serving(folder: Path, bundle: Bundle, *, cores: set[int] | None = None, **settings: object) -> Iterator[Served]:
    """As `server_of`, with settings, and on some cores only."""
    folder.mkdir()
    log = folder / "server.log"
    environment = {**os.environ, **{f"GLIMPSE_{name.upper()}": str(value) for name, value in settings.items()}}
    command = [sys.executable, "-m", "glimpse.cli.main", "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(folder / "data"), "--backbone", str(bundle.path)]
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True, env=environment)
    assert process.stdout
    try:
        if cores:
            os.sched_setaffinity(process.pid, cores)  # before it has any other thread
        address = process.stdout.readline().removeprefix("listening on ").strip()
        if not address:
            raise RuntimeError(log.read_text())
        yield Served(address, process, log)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
