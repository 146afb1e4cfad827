"""A server of one's own for the length of a command."""

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
_TOLD = 20  # lines of the log


@contextmanager
def own_server(folder: Path, backbones: Sequence[Path] = ()) -> Iterator[str]:
    """Starts a server on a free port with its data in `folder`; yields its address; stops it in every outcome.

    Where it does not start, tells the end of its log and raises CliError.
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
            start_new_session=True,  # Ctrl-C is for the demo, which then stops the server
        )
        try:
            yield _address(process, log)
        finally:
            _stop(process)


@contextmanager
def _exit_on_terminate() -> Iterator[None]:
    """Makes of SIGTERM an exit that cleans up; otherwise the server would outlive us."""

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
    watchdog = threading.Timer(_START_SECONDS, process.kill)
    watchdog.daemon = True  # a signal may come before it can be cancelled, and nobody is to wait for it then
    try:
        watchdog.start()
        for line in process.stdout:
            if line.startswith(_READY):
                return line.removeprefix(_READY).strip()
    finally:
        watchdog.cancel()
    process.wait()
    for logged in log.read_text("utf-8", errors="replace").splitlines()[-_TOLD:]:
        print_note(f"server: {logged}")
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
