"""Calls as steps, without a channel: what to send, when to wait, what to send again.

Each generator here yields a Send (and is given the response, or thrown gRPC's error) or a Pause, and returns
the call's result. The sync and the async client both drive the same steps, and so differ in nothing but
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
_POLL = 0.05  # seconds between two questions for health
_RECONNECT = 0.2  # seconds between two attempts to reach a server that was never reached
_TOLD = 3  # the attempt after which the log hears that nobody answers
logger = logging.getLogger("glimpse.client")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request. `rpc` is `service.Method` as _channel.Stubs has them; `timeout` in seconds.

    `in_trace`: whether it is a part of the trace that the caller is in.
    """

    rpc: str
    request: Any
    timeout: float | None
    in_trace: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Steps = Generator[Send | Pause, Any, T]


class Call(Protocol[T_co]):
    """Something to run: one request, or a batch of them (_batches.Batch)."""

    def steps(self, session: Session) -> Steps[T_co]:
        """The steps that lead to its result. Raise GlimpseError."""
        ...


@dataclass(frozen=True, slots=True)
class Unary(Generic[T]):
    """One request and one response."""

    rpc: str
    request: Any
    parse: Callable[[Any], T]

    def steps(self, session: Session) -> Steps[T]:
        """Sends it until it is answered, or the policy gives up."""
        return self.parse((yield from exchange(self.rpc, self.request, session)))


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list in pages."""

    rpc: str
    request: Callable[[str], Any]  # from a page token
    parse: Callable[[Any], list[T]]

    def page(self, token: str) -> Unary[tuple[list[T], str]]:
        """One page: its items and the next page's token, empty on the last."""
        return Unary(self.rpc, self.request(token), lambda page: (self.parse(page), page.next_page_token))


def exchange(rpc: str, request: Any, session: Session) -> Steps[Any]:
    """One request until it is answered, or the policy or the deadline ends it. Raises GlimpseError."""
    yield from connect(session)
    attempt = 0
    while True:
        attempt += 1
        try:
            return (yield Send(rpc, request, session.deadline.remaining()))
        except grpc.RpcError as error:
            yield from back_off(error, attempt, session)


def connect(session: Session) -> Steps[None]:
    """Waits for the first answer on a channel, where the policy limits that. Raises GlimpseError.

    The first call may rightly take long, so a call that every server answers at once comes before it.
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
    """The error of a call that reached no server: past its own deadline, or past the time that the policy gives it."""
    late = isinstance(failure, DeadlineExceeded)
    if is_hopeless(failure) or not (isinstance(failure, Unavailable) or (late and session.deadline.allows(0.0))):
        return failure
    # The cause stands last, where the command looks for it.
    step = "check the address, or wait for a server that is starting with wait_ready()"
    cause = "timed out" if late else failure.message
    return Unavailable(f"no server answers at {session.link.address}; {step}: {cause}", attempts=failure.attempts)


def back_off(error: grpc.RpcError, attempt: int, session: Session) -> Steps[None]:
    """Waits before another attempt. Raises the error as a GlimpseError where there is to be none."""
    failure = from_rpc_error(error, attempt)
    pause = session.retry.pause(failure, attempt)
    if pause is None or not session.deadline.allows(pause):
        raise failure from error
    if attempt == _TOLD and not failure.reason:  # no server said so: there may be none
        logger.warning("no answer yet, trying again: %s", failure.message)
    yield Pause(pause)


def until_ready(link: Link, timeout: float) -> Steps[None]:
    """Asks for the server's health until it is SERVING. Raises Unavailable when the time is over."""
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
            raise Unavailable(f"the server at {link.address} was not ready within {timeout:g} s; last: {state}")
        yield Pause(_POLL)
