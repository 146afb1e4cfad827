"""Calls as generators of steps, without a channel. They decide what to send, when to wait and what to send again.

Each generator yields a Send or a Pause and returns the result of the call. The client answers a Send with the response,
or throws gRPC's error into the generator. The sync and the async client run the same steps, so they differ only in
`await`.
"""

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import grpc

from glimpse.client.transport._errors import DeadlineExceeded, GlimpseError, Unavailable
from glimpse.client.transport._retry import Deadline, Link, Session, is_hopeless, is_unanswered
from glimpse.client.transport._status import from_rpc_error

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_POLL = 0.05  # Seconds between two health checks.
_RECONNECT = 0.2  # Seconds between two attempts to connect for the first time.
_LOGGED_ATTEMPT = 3  # After this attempt, a warning says that there is no answer yet.
logger = logging.getLogger("glimpse.client")


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send.

    Attributes:
        rpc: The method, as `service.Method`, with the names of `_channel.Stubs`.
        request: The request message.
        timeout: Seconds until the deadline. None: no deadline.
        in_trace: Whether the request belongs to the caller's trace.
    """

    rpc: str
    request: Any
    timeout: float | None
    in_trace: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause before the next step.

    Attributes:
        seconds: Seconds to wait.
    """

    seconds: float


Steps = Generator[Send | Pause, Any, T]


class Call(Protocol[T_co]):
    """A call that a client runs: one request (Unary) or several (`_batches.Batch`)."""

    def steps(self, session: Session) -> Steps[T_co]:
        """Returns the steps of the call.

        Raises:
            GlimpseError: If the call fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unary(Generic[T]):
    """A call with one request and one response.

    Attributes:
        rpc: The method, as `service.Method`.
        request: The request message.
        parse: Reads the result from the response.
    """

    rpc: str
    request: Any
    parse: Callable[[Any], T]

    def steps(self, session: Session) -> Steps[T]:
        """Sends the request until it is answered or the retry policy gives up."""
        return self.parse((yield from exchange(self.rpc, self.request, session)))


class Pages(Protocol[T]):
    """A list that takes several calls."""

    def page(self, token: str) -> Unary[tuple[list[T], str]]:
        """Returns the call for one page. Its result is the items and the next page's token, empty on the last page."""
        ...


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that the server returns in pages.

    Attributes:
        rpc: The method, as `service.Method`.
        request: Builds the request for a page token.
        parse: Reads the items of a page.
    """

    rpc: str
    request: Callable[[str], Any]
    parse: Callable[[Any], list[T]]

    def page(self, token: str) -> Unary[tuple[list[T], str]]:
        """Returns the call for one page. Its result is the items and the next page's token, empty on the last page."""
        return Unary(self.rpc, self.request(token), lambda page: (self.parse(page), page.next_page_token))


def exchange(rpc: str, request: Any, session: Session) -> Steps[Any]:
    """Sends one request until it is answered, or until the retry policy or the deadline ends it.

    Raises:
        GlimpseError: If the call fails.
    """
    yield from connect(session)
    attempt = 0
    while True:
        attempt += 1
        try:
            return (yield Send(rpc, request, session.deadline.remaining()))
        except grpc.RpcError as error:
            yield from back_off(error, attempt, session)


def connect(session: Session) -> Steps[None]:
    """Waits for the first answer on a channel if the retry policy limits the time to connect.

    The first call may take long even on a healthy server, so a health check, which every server answers at once, is
    sent before it.

    Raises:
        GlimpseError: If no server answers in time.
    """
    limit = session.retry.connect_timeout
    if session.link.connected or limit is None:
        return
    deadline, attempt = session.deadline.sooner(limit), 0
    while not session.link.connected:
        attempt += 1
        try:
            yield Send("health.Check", "", deadline.remaining(), in_trace=False)
            session.link.connected = True
        except grpc.RpcError as error:
            failure = from_rpc_error(error, attempt)
            session.link.connected = not is_unanswered(failure)
            if session.link.connected:
                return
            if is_hopeless(failure) or not deadline.allows(_RECONNECT):
                raise _unreachable(failure, session) from error
            yield Pause(_RECONNECT)


def _unreachable(failure: GlimpseError, session: Session) -> GlimpseError:
    """Returns the error of a call that reached no server before its deadline or the time limit to connect."""
    late = isinstance(failure, DeadlineExceeded)
    if is_hopeless(failure) or not (isinstance(failure, Unavailable) or (late and session.deadline.allows(0.0))):
        return failure
    # The command reads the cause from the end of the message.
    advice = "check the address, or wait for a server that is starting with wait_ready()"
    cause = "timed out" if late else failure.message
    return Unavailable(f"no server answers at {session.link.address}; {advice}: {cause}", attempts=failure.attempts)


def back_off(error: grpc.RpcError, attempt: int, session: Session) -> Steps[None]:
    """Waits before the next attempt.

    Raises:
        GlimpseError: The error, if the retry policy or the deadline allows no further attempt.
    """
    failure = from_rpc_error(error, attempt)
    pause = session.retry.pause(failure, attempt)
    if pause is None or not session.deadline.allows(pause):
        raise failure from error
    if attempt == _LOGGED_ATTEMPT and not failure.reason:  # The error comes from this side: perhaps there is no server.
        logger.warning("no answer yet; trying again: %s", failure.message)
    yield Pause(pause)


def until_ready(link: Link, timeout: float) -> Steps[None]:
    """Checks the health of the server until it is SERVING.

    Raises:
        Unavailable: If the server is not ready after `timeout` seconds.
    """
    deadline = Deadline(timeout)
    state = "no answer"
    while True:
        try:
            state = yield Send("health.Check", "", min(1.0, timeout))
        except grpc.RpcError as error:
            state = str(from_rpc_error(error))
        if state == "SERVING":
            link.connected = True
            return
        if not deadline.allows(_POLL):
            raise Unavailable(f"the server at {link.address} was not ready within {timeout:g} s; last status: {state}")
        yield Pause(_POLL)
