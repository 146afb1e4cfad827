"""The files a command writes."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from glimpse.cli.common.errors import CliError


def check_target(target: Path, inputs: Iterable[Path] = (), another: str = "another with --out") -> None:
    """Refuses a file that could not be written, or that is one of the inputs. Raises CliError.

    Asked before the work begins, so that no result is lost for want of a place. `another` is what to name instead.
    """
    if any(target.exists() and path.exists() and target.samefile(path) for path in inputs):
        raise CliError(f"{target} is one of the inputs, and would be overwritten", f"name {another}")
    if not target.parent.is_dir():
        raise CliError(f"there is no folder {target.parent}", f"make it, or name {another}")
    if target.is_dir() or not os.access(target if target.exists() else target.parent, os.W_OK):
        raise CliError(f"{target} cannot be written", f"name {another}")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Names the file where writing it fails after all: a full disk, say. Raises CliError."""
    try:
        yield
    except OSError as error:
        raise CliError(f"{target} could not be written: {error.strerror or error}") from error
