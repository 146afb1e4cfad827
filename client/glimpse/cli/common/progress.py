"""Progress on stderr: bars and spinners on a terminal, occasional lines elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from glimpse.cli.common.output import print_note

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

_MAX_TITLE = 30  # characters of a title; in 80 columns this leaves room for a bar
#: Seconds between two lines of progress if stderr is not a terminal.
LINE_SECONDS = 5.0


class Advance(Protocol):
    """Receives how many more items are done."""

    def __call__(self, count: int) -> None:
        """Adds `count` items to those that are done."""
        ...


@contextmanager
def progress(title: str, total: int, *, transient: bool = False) -> Iterator[Advance]:
    """Shows progress on stderr, with items per second: a bar on a terminal, a line every few seconds elsewhere.

    Args:
        title: What is being done.
        total: The number of items.
        transient: For one bar of many. The bar disappears at its end, and is not shown for 0 items.
    """
    if not sys.stderr.isatty():
        yield _ProgressLines(title, total).advance
        return
    if transient and not total:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # Cut a long title at its start: its end says what is being done, its start is a name.
    short_title = title if len(title) <= _MAX_TITLE else f"…{title[1 - _MAX_TITLE :]}"
    # markup=False, because a name in the title may contain brackets. The bar takes the remaining width.
    description, bar_column = TextColumn("{task.description}", markup=False), BarColumn(bar_width=None)
    columns = (description, bar_column, MofNCompleteColumn(), rate_column(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=transient) as bar:
        task = bar.add_task(short_title, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def bytes_progress(title: str, total: int) -> Iterator[Advance]:
    """Shows the progress of a download on stderr: a bar on a terminal, a line every few seconds elsewhere.

    Args:
        title: What is downloaded.
        total: The number of bytes.
    """
    if not sys.stderr.isatty():
        megabytes = _ByteLines(title, total)
        yield megabytes.advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=None), DownloadColumn())
    times = (TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True)) as bar:
        task = bar.add_task(title[:_MAX_TITLE], total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def notice_if_slow(title: str) -> Iterator[None]:
    """Prints the title on stderr if the block takes longer than `LINE_SECONDS`."""
    timer = threading.Timer(LINE_SECONDS, print_note, (f"{title} …",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def spinner(title: str) -> Iterator[None]:
    """Shows a spinner on stderr during one long call; without a terminal, prints a line if it takes long."""
    if not sys.stderr.isatty():
        with notice_if_slow(title):
            yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(title, total=None)
        yield


def rate_column() -> "ProgressColumn":
    """Returns a column for a progress bar that shows items per second."""
    # The class is defined here because its base class imports rich, which most commands do not need.
    from rich.progress import ProgressColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: "Task") -> "Text":
            return Text(rate(task.finished_speed or task.speed), style="progress.data.speed")

    return RateColumn()


def rate(per_second: float | None) -> str:
    """Formats items per second: `12,000/s`; below ten with one decimal; `-/s` for None or 0."""
    if not per_second:
        return "-/s"
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"


class _ProgressLines:
    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._next = self._start + LINE_SECONDS

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LINE_SECONDS
            print_note(f"{self._title}: {self._done} of {self._total}, {rate(self._done / (now - self._start))}")


class _ByteLines:
    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._next = time.monotonic() + LINE_SECONDS

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            print_note(f"{self._title}: {self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB")
