"""Locks an output folder, so that only one build writes to it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glimpse.builder.errors import BuildError
from glimpse.builder.output.output_folder import WORK
from glimpse.index.storage.manifest import MANIFEST_NAME


@contextmanager
def locked(out: Path, resume: bool) -> Iterator[None]:
    """Locks the folder, which is created if needed.

    Raises:
        BuildError: another build holds the lock, or the folder does not belong to a build.
    """
    if out.exists() and not out.is_dir():
        raise BuildError(f"{out} is a file", "give another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildError(
                f"another build is writing to {out}", "wait until it ends, or give another --out"
            ) from error
        _check(out, resume)
        yield
    finally:
        os.close(handle)


def _check(out: Path, resume: bool) -> None:
    unfinished, built = (out / WORK).is_dir(), (out / MANIFEST_NAME).is_file()
    if not unfinished and not built and any(out.iterdir()):
        raise BuildError(f"{out} is neither empty nor an index", "give another folder with --out")
    if unfinished and not resume:
        raise BuildError(f"{out} has an unfinished build", "continue it with --resume, or give another --out")
    if built and not resume:
        raise BuildError(f"{out} is an index already", "add new inputs with --resume, or give another --out")
