"""Opens the client of a command."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from glimpse.cli.common.errors import CliError, too_late, unreachable
from glimpse.cli.common.output import print_note
from glimpse.client import Client, DeadlineExceeded, GlimpseError, Retry, Unavailable

# The command reports retries and failures itself, so the client's log is not shown.
logging.getLogger("glimpse.client").addHandler(logging.NullHandler())
_CARRIERS = ("TRACEPARENT", "TRACESTATE")
_CONNECT_SECONDS = 2.8  # a call fails within 3 seconds if no server can be reached
_ATTEMPTS = Retry().attempts
_REPORTED_ATTEMPT = 3  # after this attempt a line says what the command waits for


@dataclass(frozen=True)
class ReportingRetry(Retry):
    """A retry policy that reports on stderr what the command waits for.

    Attributes:
        max_refusals: How often to send a call that the server itself refuses with UNAVAILABLE.
    """

    max_refusals: int = _ATTEMPTS

    def pause(self, error: GlimpseError, attempt: int) -> float | None:
        """Returns the seconds to wait before the next attempt, or None to give up."""
        if error.reason and isinstance(error, Unavailable) and attempt >= self.max_refusals:
            return None
        pause = super().pause(error, attempt)
        if pause is not None and attempt == _REPORTED_ATTEMPT and isinstance(error, Unavailable):
            print_note(f"waiting for the server: {error.message}")
        return pause


@contextmanager
def connected(server: str | None, timeout: float | None = None, max_refusals: int = _ATTEMPTS) -> Iterator[Client]:
    """Opens a client for the block.

    Args:
        server: The address; None for the client's default.
        timeout: The command's `--timeout` in seconds; None if it has no such option, then a call may take 60 seconds.
        max_refusals: How often to send a call that the server refuses for the moment (UNAVAILABLE with a reason).

    Raises:
        CliError: The address or a connection option is invalid, no server answers, or a call exceeds its deadline.
    """
    # A shell passes a trace on in variables: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
    trace = tuple((name.lower(), os.environ[name]) for name in _CARRIERS if os.environ.get(name))
    retry = ReportingRetry(max_refusals=max_refusals, connect_timeout=_CONNECT_SECONDS)
    try:
        client = Client(server, timeout=timeout or 60.0, retry=retry, metadata=trace)
    except ValueError as error:  # an invalid address, key or TLS option, from the command line or a variable
        raise CliError(str(error)) from error
    with client:
        try:
            yield client
        except DeadlineExceeded as error:
            raise too_late(error, has_timeout=timeout is not None) from error
        except Unavailable as error:
            if error.reason:  # the server itself answered
                raise
            raise unreachable(client.address, error) from error
