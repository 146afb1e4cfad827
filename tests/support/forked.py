"""Runs `glimpse` in forks of a process that has imported its modules already.

A start takes a tenth of a second instead of more than a second, and the tests start hundreds of servers. A fork is a
process of its own in every other way: its own port, files, memory and signals.
"""

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

_PRELOADED = [
    *("glimpse.server.app", "glimpse.server.http.listener", "glimpse.client"),
    *("glimpse.cli.main", "glimpse.cli.commands", "glimpse.cli.server.serve"),
    # What most of the commands import, and the one that imports most.
    *("glimpse.cli.common.inputs", "glimpse.cli.common.session", "glimpse.cli.discover.findings"),
    *("glimpse.cli.discover.report", "glimpse.cli.discover.folder", "glimpse.cli.discover.stored"),
]
_CONTEXT: ForkServerContext = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(_PRELOADED)

# Variables that Python, the linker and gRPC read when they start.
_READ_AT_START = ("PYTHON", "LD_", "GRPC_")
_AT_START = dict(os.environ)


def can_fork(environment: Mapping[str, str]) -> bool:
    """Returns whether a fork can run in this environment: what is read at the start is as it was in this process."""

    def read_at_start(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name.startswith(_READ_AT_START)}

    return read_at_start(environment) == read_at_start(_AT_START)


class ForkedProcess:
    """A running command, with the interface of `subprocess.Popen` as far as tests need it."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdout: IO[Any] | None = None,
        stderr: IO[Any],
        folder: Path | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Starts `glimpse` with these arguments.

        Args:
            arguments: The command line without the program's name.
            environment: All variables of the process.
            stdout: Where its output goes; by default a pipe that `stdout` reads.
            stderr: Where its errors go.
            folder: Its working folder; by default this process's own.
            prepare: A function of a module, called in the new process first.
        """
        _start_fork_server()
        self.stdout: IO[str] | None = None
        with ExitStack() as stack:
            if stdout is None:
                reader, writer = os.pipe()
                self.stdout = os.fdopen(reader, encoding="utf-8")
                stdout = stack.enter_context(os.fdopen(writer, "wb"))
            descriptors = [_Descriptor(stdout.fileno()), _Descriptor(stderr.fileno())]
            run = (list(arguments), dict(environment), descriptors, str(folder or Path.cwd()), prepare)
            self._process = _CONTEXT.Process(target=_run, args=run, daemon=True)
            self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> Any:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("glimpse", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, but its exit code has not arrived yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_forked(
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    timeout: float = 60,
) -> "subprocess.CompletedProcess[str]":
    """Runs `glimpse` to its end."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        process = ForkedProcess(arguments, environment, stdout=out, stderr=err, folder=folder)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


@cache
def _start_fork_server() -> None:
    # gRPC reads this variable when it is imported; the command sets it before that.
    with patch.dict(os.environ, GRPC_VERBOSITY="NONE"):
        forkserver.ensure_running()


class _Descriptor:
    """A file descriptor, which arrives in the new process as the number of its duplicate there."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._number),)


def _received(duplicate: Any) -> int:
    return int(duplicate.detach())


def _run(
    arguments: list[str],
    environment: dict[str, str],
    descriptors: list[int],
    folder: str,
    prepare: Callable[[], None] | None,
) -> None:
    """Becomes the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((null, *descriptors), (0, 1, 2), strict=True):
        os.dup2(source, target)
        os.close(source)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", errors="backslashreplace", buffering=1, closefd=False)
    sys.argv = ["glimpse", *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from glimpse.cli.main import main

    if prepare:
        prepare()
    try:
        main(arguments)
    finally:
        atexit._run_exitfuncs()
