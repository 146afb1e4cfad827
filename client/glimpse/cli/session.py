"""A client for the length of a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from glimpse.cli.errors import unreachable
from glimpse.client import Client, Retry, Unavailable


@contextmanager
def connected(server: str | None, timeout: float = 60.0) -> Iterator[Client]:
    """A client. Raises CliError where no server answers."""
    with Client(server, timeout=timeout, retry=Retry(attempts=4)) as client:
        try:
            yield client
        except Unavailable as error:
            if error.reason:  # the server itself spoke
                raise
            raise unreachable(client.address, error) from error
