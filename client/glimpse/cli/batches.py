"""Lists in parts, and how far along a command is."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from glimpse.cli.output import tell

T = TypeVar("T")
_BATCH = 32  # inputs in one call: enough to fill a batch of the server, few enough to show progress
_EVERY = 5.0  # seconds between two lines of progress where there is no terminal


class Advance(Protocol):
    """Told how many more are done."""

    def __call__(self, count: int) -> None:
        """So many more are done."""
        ...


def batched(items: Sequence[T], size: int = _BATCH) -> Iterator[Sequence[T]]:
    """A list in parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


@contextmanager
def progress(title: str, total: int) -> Iterator[Advance]:
    """Progress on stderr: a bar on a terminal, now and then a line elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines(title, total).advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def working(title: str) -> Iterator[None]:
    """A spinner on stderr around one long call; where there is no terminal, a line should it take long."""
    if not sys.stderr.isatty():
        line = threading.Timer(_EVERY, tell, (f"{title} …",))
        line.daemon = True
        line.start()
        try:
            yield
        finally:
            line.cancel()
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(title, total=None)
        yield


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._next = time.monotonic() + _EVERY

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            tell(f"{self._title}: {self._done} of {self._total}")
