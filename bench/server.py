"""A server under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glimpse.backbone import Bundle
from glimpse.cli.demo_server import own_server


@contextmanager
def server_of(bundle: Bundle, folder: Path) -> Iterator[str]:
    """A `glimpse serve` process with one backbone and its data in `folder`, which it makes; yields its address."""
    folder.mkdir()
    with own_server(folder, [bundle.path]) as address:
        yield address
