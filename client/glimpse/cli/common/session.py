"""A client for the length of a command."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from glimpse.cli.common.errors import CliError, too_late, unreachable
from glimpse.cli.common.output import print_note
from glimpse.client import Client, DeadlineExceeded, GlimpseError, Retry, Unavailable

# A command says by itself what it waits for, and why it ends.
logging.getLogger("glimpse.client").addHandler(logging.NullHandler())
_CARRIERS = ("TRACEPARENT", "TRACESTATE")
_CONNECT_SECONDS = 2.8  # as the client: a call fails within 3 seconds where no server was ever reached
_ASKS = Retry().attempts
_TOLD = 3  # the attempt after which a line says what the command waits for


@dataclass(frozen=True)
class _Patience(Retry):
    """As Retry, and says what the command waits for.

    `asks`: how often a server is asked that refuses for the moment.
    """

    asks: int = _ASKS

    def pause(self, error: GlimpseError, attempt: int) -> float | None:
        """How long to wait; None: give up."""
        if error.reason and isinstance(error, Unavailable) and attempt >= self.asks:
            return None
        pause = super().pause(error, attempt)
        if pause is not None and attempt == _TOLD and isinstance(error, Unavailable):
            print_note(f"waiting for the server: {error.message}")
        return pause


@contextmanager
def connected(server: str | None, timeout: float | None = None, asks: int = _ASKS) -> Iterator[Client]:
    """A client. `timeout` is the command's --timeout; None: it has none, and a call has a minute. Raises CliError.

    `asks`: how often a call is sent that the server refuses for the moment (UNAVAILABLE with a reason).
    """
    # As shells hand a trace on: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
    carried = tuple((name.lower(), os.environ[name]) for name in _CARRIERS if os.environ.get(name))
    retry = _Patience(asks=asks, connect_timeout=_CONNECT_SECONDS)
    try:
        opened = Client(server, timeout=timeout or 60.0, retry=retry, metadata=carried)
    except ValueError as error:  # the address, or what is said of keys and TLS, here or in variables
        raise CliError(str(error)) from error
    with opened as client:
        try:
            yield client
        except DeadlineExceeded as error:
            raise too_late(error, has_timeout=timeout is not None) from error
        except Unavailable as error:
            if error.reason:  # the server itself spoke
                raise
            raise unreachable(client.address, error) from error
