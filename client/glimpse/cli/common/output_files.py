"""Checks of the files that a command writes."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from glimpse.cli.common.errors import CliError


def check_target(target: Path, inputs: Iterable[Path] = (), another: str = "another with --out") -> None:
    """Checks that a file can be written, before the work begins, so that no result is lost.

    Args:
        target: The file.
        inputs: Files that must not be overwritten.
        another: What the error advises to name instead.

    Raises:
        CliError: The file cannot be written, or is one of the inputs.
    """
    if any(target.exists() and path.exists() and target.samefile(path) for path in inputs):
        raise CliError(f"{target} is one of the inputs, and would be overwritten", f"name {another}")
    if not target.parent.is_dir():
        raise CliError(f"there is no folder {target.parent}", f"create it, or name {another}")
    if target.is_dir() or not os.access(target if target.exists() else target.parent, os.W_OK):
        raise CliError(f"{target} cannot be written", f"name {another}")


def make_folder(folder: Path, another: str = "another with --out") -> None:
    """Creates a folder for files, if there is none, before the work begins, and checks that it can be written.

    Args:
        folder: The folder.
        another: What the error advises to name instead.

    Raises:
        CliError: It cannot be created or written, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise CliError(f"{folder} cannot be a folder for files: {reason}", f"name {another}") from error
    if not os.access(folder, os.W_OK):
        raise CliError(f"the folder {folder} cannot be written", f"name {another}")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns an OSError of the block, such as a full disk, into a CliError that names the file."""
    try:
        yield
    except OSError as error:
        raise CliError(f"{target} could not be written: {error.strerror or error}") from error
