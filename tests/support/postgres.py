"""A real PostgreSQL server from Debian's package that tests start."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest


def binaries() -> Path:
    """Returns the folder of PostgreSQL's programs. Skips the test if there is none."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
    if not versions:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return versions[-1]


class Postgres:
    """A server on a free loopback port with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._bin = folder, binaries()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root. (Python would fork to change the user, which can break gRPC's threads.)
        self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if _root() else []
        if _root():
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        command = [self._bin / "initdb", "-D", folder / "db", "-U", "glimpse", "-A", "trust", "-E", "UTF8"]
        self._run(*command, "--locale=C.UTF-8")

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        settings = ("unix_socket_directories=", "listen_addresses=127.0.0.1", "max_connections=200")
        options = [word for setting in settings for word in ("-c", setting)]
        log = (self.folder / "log").open("ab")
        data, port = str(self.folder / "db"), str(self.port)
        command = [*self._as_user, str(self._bin / "postgres"), "-D", data, "-p", port, *options]
        process: subprocess.Popen[bytes] = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        self._process = process
        log.close()
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._address("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < end, "PostgreSQL did not answer"
                time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stops the server: SIGINT shuts it down in order, SIGQUIT simulates a power failure."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(30)

    def database(self, copied: str = "template1") -> str:
        """Creates a database, empty or as a copy of one without connections; returns its URL."""
        name = f"d{uuid.uuid4().hex}"
        statement = f'CREATE DATABASE "{name}" TEMPLATE "{copied.rpartition("/")[2]}"'
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type,unused-ignore]
        return f"postgresql+psycopg://glimpse@127.0.0.1:{self.port}/{name}"

    def _address(self, database: str) -> str:
        return f"postgresql://glimpse@127.0.0.1:{self.port}/{database}"

    def _run(self, *command: object) -> None:
        words = [*self._as_user, *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, done.stderr


def _root() -> bool:
    return os.geteuid() == 0


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Yields a server that is stopped in every outcome."""
    with TemporaryDirectory(prefix="glimpse-postgres-") as folder:
        server = Postgres(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
