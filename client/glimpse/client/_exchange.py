"""Calls as steps, without a channel: what to send, when to wait, what to send again.

Each generator here yields a Send (and is given the response, or thrown gRPC's error) or a Pause, and returns
the call's result. The sync and the async client both drive the same steps, and so differ in nothing but
`await`.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import grpc

from glimpse.client._errors import GlimpseError, Internal, Unavailable
from glimpse.client._inputs import Prepared
from glimpse.client._policy import Deadline, Session, after
from glimpse.client._status import from_rpc_error

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
MAX_ITEMS = 256
_POLL = 0.05  # seconds between two questions for health
_POSITION = re.compile(r"^(inputs|examples)\[\d+\]")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request. `rpc` is `service.Method` as _channel.Stubs has them; `timeout` in seconds."""

    rpc: str
    request: Any
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Steps = Generator[Send | Pause, Any, T]


class Call(Protocol[T_co]):
    """Something to run: one request, or a batch of them."""

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


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Any number of items, in as many requests as the limits ask for; items that the server was too busy for
    are sent again by themselves."""

    rpc: str
    items: Callable[[int], Iterable[Prepared]]  # from the message limit; read as the chunks are sent
    request: Callable[[list[Any], int, int], Any]  # from messages, the chunk's number and the round's
    parse: Callable[[Any, Any], T]  # from an item's result and the response it came in

    def steps(self, session: Session) -> Steps[list[T]]:
        """The results, one an item, in order."""
        room = session.max_bytes - self.request([], 0, 0).ByteSize()
        results: list[T] = []
        for number, chunk in enumerate(chunks(self.items(session.max_bytes), room)):
            answers = yield from self._answers(chunk, number, session)
            for prepared, (result, response) in zip(chunk, answers, strict=True):
                restore(result, prepared, len(results))
                results.append(self.parse(result, response))
        return results

    def _answers(self, chunk: list[Prepared], number: int, session: Session) -> Steps[list[tuple[Any, Any]]]:
        answers: list[tuple[Any, Any]] = [(None, None)] * len(chunk)
        waiting, attempt = list(range(len(chunk))), 0
        while True:
            request = self.request([chunk[i].message for i in waiting], number, attempt)
            try:
                response = yield from exchange(self.rpc, request, session)
            except GlimpseError:
                if attempt == 0:
                    raise
                return answers  # what was answered stays answered; the others keep their own errors
            if len(response.results) != len(waiting):
                raise Internal(f"{len(waiting)} items were sent, {len(response.results)} answered")
            for i, result in zip(waiting, response.results, strict=True):
                answers[i] = (result, response)
            waiting = [i for i in waiting if retry_delay(answers[i][0], chunk[i])]
            pause = after(max((retry_delay(answers[i][0], chunk[i]) for i in waiting), default=0.0))
            if not waiting or not session.deadline.allows(pause):
                return answers
            yield Pause(pause)
            attempt += 1


def exchange(rpc: str, request: Any, session: Session) -> Steps[Any]:
    """One request until it is answered, or the policy or the deadline ends it. Raises GlimpseError."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return (yield Send(rpc, request, session.deadline.remaining()))
        except grpc.RpcError as error:
            yield from back_off(error, attempt, session)


def back_off(error: grpc.RpcError, attempt: int, session: Session) -> Steps[None]:
    """Waits before another attempt. Raises the error as a GlimpseError where there is to be none."""
    failure = from_rpc_error(error, attempt)
    pause = session.retry.pause(failure, attempt)
    if pause is None or not session.deadline.allows(pause):
        raise failure from error
    yield Pause(pause)


def until_ready(address: str, timeout: float) -> Steps[None]:
    """Asks for the server's health until it is SERVING. Raises Unavailable when the time is over."""
    deadline = Deadline(timeout)
    state = "no answer"
    while True:
        try:
            state = yield Send("health.Check", "", min(1.0, timeout))
        except grpc.RpcError as error:
            state = str(from_rpc_error(error))
        if state == "SERVING":
            return
        if not deadline.allows(_POLL):
            raise Unavailable(f"the server at {address} was not ready within {timeout:g} s; last: {state}")
        yield Pause(_POLL)


def chunks(items: Iterable[Prepared], room: int) -> Iterator[list[Prepared]]:
    """Items in lists of at most MAX_ITEMS and, together, `room` bytes."""
    chunk: list[Prepared] = []
    size = 0
    for item in items:
        cost = item.size + 8  # its tag and length
        if chunk and (len(chunk) == MAX_ITEMS or size + cost > room):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += cost
    if chunk:
        yield chunk


def retry_delay(result: Any, prepared: Prepared) -> float:
    """After how many seconds an item may be sent again; 0: it need not, or it will not help."""
    return 0.0 if prepared.failure else float(result.status.retry_delay_ms) / 1000


def restore(result: Any, prepared: Prepared, position: int) -> None:
    """Puts into a result what the wire did not carry: the item's own failure, its place among all that were
    given."""
    if prepared.failure is not None:
        result.status.CopyFrom(prepared.failure)
    elif result.status.field:
        result.status.field = _POSITION.sub(rf"\g<1>[{position}]", result.status.field)
