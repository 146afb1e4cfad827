"""Copies a ledger and kills itself half way: `python -m support.killed_copy FUNCTION TITLE SOURCE TARGET`.

FUNCTION is the name of a function of glimpse.ledger.maintenance, with its module: `backup.back_up`. The process is
killed when the progress reaches TITLE.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path


def main(function: str, title: str, source: str, target: str) -> None:
    @contextmanager
    def progress(current: str, _total: int) -> Iterator[Callable[[int], None]]:
        if current.startswith(title):
            os.kill(os.getpid(), signal.SIGKILL)
        yield lambda _: None

    module, _, name = function.partition(".")
    paths = [value if "://" in value else Path(value) for value in (source, target)]
    work = getattr(import_module(f"glimpse.ledger.maintenance.{module}"), name)
    work(*paths, progress)


if __name__ == "__main__":
    main(*sys.argv[1:])
