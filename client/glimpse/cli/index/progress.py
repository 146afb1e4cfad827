"""Progress of an index build on stderr: a bar on a terminal, occasional lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from glimpse.cli.common.output import print_note
from glimpse.cli.common.progress import LINE_SECONDS, progress, rate, rate_column

if TYPE_CHECKING:
    from glimpse.builder.engines.encode_rows import Tally

_TITLE = "embedding"


class Progress:
    """Reports the progress of a build, as the builder's `Watch`: first of the inputs, then of each later stage."""

    def __init__(self) -> None:
        self._total: int | None = None
        self._start = time.monotonic()
        self._bar: Any = _bar() if sys.stderr.isatty() else None
        self._task: Any = None
        self._tally: Tally | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if not self._bar:
            # A thread prints the lines, because skipping a large member of a tar takes long without any progress.
            threading.Thread(target=self._print_lines, name="progress", daemon=True).start()
        else:
            self._bar.start()
            self._task = self._bar.add_task(_TITLE, total=None, failed=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._bar:
            self._bar.stop()

    def total(self, inputs: int) -> None:
        """Sets the number of inputs, which is counted during the work."""
        self._total = inputs
        if self._bar:
            self._bar.update(self._task, total=inputs)

    def advance(self, tally: "Tally") -> None:
        """Shows the counts of the inputs so far."""
        self._tally = tally
        if self._bar:
            self._bar.update(self._task, completed=tally.inputs, failed=tally.failed)

    def stage(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Starts a stage after the inputs, with its own bar."""
        self.__exit__()
        self._bar = None
        return progress(title, total)

    def _print_lines(self) -> None:
        while not self._ended.wait(LINE_SECONDS):
            if self._tally is None:
                print_note(f"{_TITLE}: reading the inputs")
            else:
                print_note(self._line(self._tally, self._tally.inputs / (time.monotonic() - self._start)))

    def _line(self, tally: "Tally", speed: float) -> str:
        done = f"{tally.inputs:,}" + (f" of {self._total:,}" if self._total else "")
        left = f", {_duration((self._total - tally.inputs) / speed)} left" if self._total and speed else ""
        known = f", {tally.known:,} unchanged" if tally.known else ""
        return f"{_TITLE}: {done}, {rate(speed)}{left}{known}, {tally.failed:,} failed"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    failed = TextColumn("{task.fields[failed]:,} failed")
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    return Progress(*columns, rate_column(), TimeRemainingColumn(), failed, console=Console(stderr=True))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
