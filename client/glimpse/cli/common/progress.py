"""Lists in parts, and how far along a command is."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from glimpse.cli.common.output import print_note

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

T = TypeVar("T")
_BATCH = 32  # inputs in one call: enough to fill a batch of the server, few enough to show progress
_LONGEST = 30  # characters of a title that leave room for a bar in 80 columns
#: Seconds between two lines of progress where there is no terminal.
LINE_SECONDS = 5.0


class Advance(Protocol):
    """Told how many more are done."""

    def __call__(self, count: int) -> None:
        """So many more are done."""
        ...


def batched(items: Iterable[T], size: int = _BATCH) -> Iterator[Sequence[T]]:
    """Items in lists of at most `size`, drawn as they are needed."""
    remaining = iter(items)
    while part := list(islice(remaining, size)):
        yield part


@contextmanager
def progress(title: str, total: int, *, passing: bool = False) -> Iterator[Advance]:
    """Progress on stderr, with how many are done a second: a bar on a terminal, now and then a line elsewhere.

    `passing`: one of many, of which none stays on the terminal, and none is shown of nothing.
    """
    if not sys.stderr.isatty():
        yield _Lines(title, total).advance
        return
    if passing and not total:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # What is being done stands at the end, behind a name.
    short = title if len(title) <= _LONGEST else f"…{title[1 - _LONGEST :]}"
    # A title may hold a name with brackets or braces; the bar takes what room the others leave.
    named, room = TextColumn("{task.description}", markup=False), BarColumn(bar_width=None)
    columns = (named, room, MofNCompleteColumn(), rate_column(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=passing) as bar:
        task = bar.add_task(short, total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def notice_if_slow(title: str) -> Iterator[None]:
    """Prints the title on stderr where the work in the block takes longer than a moment."""
    line = threading.Timer(LINE_SECONDS, print_note, (f"{title} …",))
    line.daemon = True
    line.start()
    try:
        yield
    finally:
        line.cancel()


@contextmanager
def spinner(title: str) -> Iterator[None]:
    """A spinner on stderr around one long call; where there is no terminal, a line should it take long."""
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
    """How many are done a second, for a bar."""
    # Made where it is wanted: the module would import rich for every command.
    from rich.progress import ProgressColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: "Task") -> "Text":
            return Text(rate(task.finished_speed or task.speed), style="progress.data.speed")

    return Rate()


def rate(a_second: float | None) -> str:
    """How many a second; of fewer than ten with a decimal."""
    if not a_second:
        return "-/s"
    return f"{a_second:,.0f}/s" if a_second >= 10 else f"{a_second:.1f}/s"


class _Lines:
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
