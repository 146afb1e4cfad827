"""Runs a temporary server for the duration of a command."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import print_note

_READY = "listening on "
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LOG_LINES = 20  # lines of the log to print if the server does not start


@contextmanager
def own_server(folder: Path, backbones: Sequence[Path] = ()) -> Iterator[str]:
    """Starts a server on a free port, yields its address, and always stops it at the end.

    Args:
        folder: The folder for the server's data and log.
        backbones: Folders of bundles; empty for glimpse-mini.

    Raises:
        CliError: The server does not start. The end of its log is printed on stderr.
    """
    log = folder / "server.log"
    arguments = ["serve", "--listen", "127.0.0.1:0", "--data", str(folder / "data")]
    for backbone in backbones:
        arguments += ["--backbone", str(backbone)]
    with _exit_on_terminate(), log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "glimpse.cli.main", *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C must reach only this process, which then stops the server
        )
        try:
            yield _address(process, log)
        finally:
            _stop(process)


@contextmanager
def _exit_on_terminate() -> Iterator[None]:
    """Turns SIGTERM into an exit that runs cleanup; otherwise the server would outlive this process."""

    def exit_process(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, exit_process)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None  # noqa: S101  (Popen was given a pipe)
    watchdog = threading.Timer(_START_SECONDS, process.kill)
    watchdog.daemon = True  # a signal may arrive before it is cancelled; the exit must not wait for it then
    try:
        watchdog.start()
        for line in process.stdout:
            if line.startswith(_READY):
                return line.removeprefix(_READY).split()[0]  # a second address is that of HTTP
    finally:
        watchdog.cancel()
    process.wait()
    for line in log.read_text("utf-8", errors="replace").splitlines()[-_LOG_LINES:]:
        print_note(f"server: {line}")
    raise CliError("the server did not start; the end of its log is above")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
