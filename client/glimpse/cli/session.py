"""A client for the length of a command."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from glimpse.cli.errors import CliError, too_late, unreachable
from glimpse.client import Client, DeadlineExceeded, GlimpseError, Retry, Unavailable

# A command says by itself what it waits for, and why it ends.
logging.getLogger("glimpse.client").addHandler(logging.NullHandler())
_REFUSED = "Connection refused"
_CARRIERS = ("TRACEPARENT", "TRACESTATE")
_PAUSE, _PATIENCE = 0.25, 15  # seconds between two attempts; attempts: 3.5 s in all


class _Patience(Retry):
    """Waits a little for a server that is just starting (`glimpse serve & glimpse enroll …`)."""

    def pause(self, error: GlimpseError, attempt: int) -> float | None:
        """As Retry, but longer where nobody listens yet, which is known at once and costs no server anything."""
        if isinstance(error, Unavailable) and _REFUSED in error.message:
            return _PAUSE if attempt < _PATIENCE else None
        return super().pause(error, attempt)


@contextmanager
def connected(server: str | None, timeout: float | None = None, attempts: int = 4) -> Iterator[Client]:
    """A client. `timeout` is the command's --timeout; None: it has none, and a call has a minute. Raises CliError.

    `attempts`: how often a call is made that a server refuses for the moment.
    """
    # As shells hand a trace on: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
    carried = tuple((name.lower(), os.environ[name]) for name in _CARRIERS if os.environ.get(name))
    try:
        opened = Client(server, timeout=timeout or 60.0, retry=_Patience(attempts=attempts), metadata=carried)
    except ValueError as error:  # what is said of keys and TLS, here or in variables, does not go together
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
