"""Sends lists of any length: in chunks, each of which is sent until its items are answered."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from glimpse.client.requests._inputs import Prepared
from glimpse.client.transport._errors import GlimpseError, Internal
from glimpse.client.transport._retry import Session, after
from glimpse.client.transport._steps import Pause, Steps, exchange

T = TypeVar("T")
MAX_ITEMS = 256
_POSITION = re.compile(r"^(inputs|examples)\[\d+\]")
_FRAMING_BYTES = 8  # An upper bound for the tag and the length of an item in a request.


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch.

    Attributes:
        chunk: Number of the chunk, from 0.
        last: Whether it is the last chunk.
        attempt: How often the chunk was sent before.
    """

    chunk: int
    last: bool
    attempt: int


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """A call with any number of items, sent in as many requests as the limits require.

    Items that the server was too busy for are sent again in another request.

    Attributes:
        rpc: The method, as `service.Method`.
        items: Returns the items for a message limit in bytes. They are prepared as the chunks are sent.
        request: Builds a request from messages.
        parse: Reads an item's result from the result message, its response, and the path of the item's file.
    """

    rpc: str
    items: Callable[[int], Iterable[Prepared]]
    request: Callable[[list[Any], Part], Any]
    parse: Callable[[Any, Any, str], T]

    def steps(self, session: Session) -> Steps[list[T]]:
        """Sends every chunk and returns one result for each item, in order."""
        room = session.max_bytes - self.request([], Part(0, True, 0)).ByteSize()
        results: list[T] = []
        for number, (chunk, last) in enumerate(_mark_last(chunks(self.items(session.max_bytes), room))):
            answers = yield from self._answers(chunk, Part(number, last, 0), session)
            for item, (result, response) in zip(chunk, answers, strict=True):
                restore(result, item, len(results))
                results.append(self.parse(result, response, item.path))
        return results

    def _answers(self, chunk: list[Prepared], part: Part, session: Session) -> Steps[list[tuple[Any, Any]]]:
        answers: list[tuple[Any, Any]] = [(None, None)] * len(chunk)
        waiting = list(range(len(chunk)))
        while True:
            request = self.request([chunk[i].message for i in waiting], part)
            try:
                response = yield from exchange(self.rpc, request, session)
            except GlimpseError:
                if part.attempt == 0:
                    raise
                return answers  # Items that were answered before keep their results, the others their own errors.
            if len(response.results) != len(waiting):
                raise Internal(f"the server returned {len(response.results)} results for {len(waiting)} items")
            for i, result in zip(waiting, response.results, strict=True):
                answers[i] = (result, response)
            waiting = [i for i in waiting if retry_delay(answers[i][0], chunk[i])]
            pause = after(max((retry_delay(answers[i][0], chunk[i]) for i in waiting), default=0.0))
            if not waiting or not session.deadline.allows(pause):
                return answers
            yield Pause(pause)
            part = replace(part, attempt=part.attempt + 1)


def chunks(items: Iterable[Prepared], room: int) -> Iterator[list[Prepared]]:
    """Yields lists of at most MAX_ITEMS items, each view counted as one, and at most `room` bytes together."""
    chunk: list[Prepared] = []
    size = count = 0
    for item in items:
        cost = item.size + _FRAMING_BYTES
        if chunk and (count + item.inputs > MAX_ITEMS or size + cost > room):
            yield chunk
            chunk, size, count = [], 0, 0
        chunk.append(item)
        size += cost
        count += item.inputs
    if chunk:
        yield chunk


def _mark_last(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yields each item, and whether it is the last one."""
    waiting: list[T] = []
    for item in items:
        if waiting:
            yield waiting.pop(), False
        waiting.append(item)
    if waiting:
        yield waiting.pop(), True


def retry_delay(result: Any, item: Prepared) -> float:
    """Returns the seconds after which an item may be sent again. 0: sending it again would not help."""
    return 0.0 if item.failure else float(result.status.retry_delay_ms) / 1000


def restore(result: Any, item: Prepared, position: int) -> None:
    """Adds to a result what was not sent: the failure of the item, and its position in the caller's list."""
    if item.failure is not None:
        result.status.CopyFrom(item.failure)
    elif result.status.field:
        result.status.field = _POSITION.sub(rf"\g<1>[{position}]", result.status.field)
