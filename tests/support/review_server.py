"""A server and a command for tests of the review that wait for milliseconds where a real one waits for seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.server import ServerProcess


@contextmanager
def review_server(folder: Path, *backbones: Path) -> Iterator[str]:
    """Starts a server that writes kept queries twenty times a second, and yields its address."""
    process = ServerProcess(folder, *backbones)
    process.prepare = write_soon
    with process:
        yield process.address


def write_soon() -> None:
    """Shortens the time between two batches of kept queries, in the server's process."""
    from glimpse.server.review.keeping import worker

    worker._TURN_SECONDS = 0.05


def look_often() -> None:
    """Shortens the time between two looks of `glimpse review watch`, in its process."""
    from glimpse.cli.review import watch

    watch._SECONDS = 0.05
