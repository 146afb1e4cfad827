"""Lists of items of any length as requests: in chunks, each sent until its items are answered."""

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


@dataclass(frozen=True, slots=True)
class Part:
    """Which request of a batch: its chunk's number, whether that is the last, and how often it was sent before."""

    chunk: int
    last: bool
    attempt: int


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Any number of items, in as many requests as the limits ask for; items that the server was too busy for
    are sent again by themselves."""

    rpc: str
    items: Callable[[int], Iterable[Prepared]]  # from the message limit; read as the chunks are sent
    request: Callable[[list[Any], Part], Any]  # from messages
    parse: Callable[[Any, Any, str], T]  # from an item's result, the response it came in, and its file's path

    def steps(self, session: Session) -> Steps[list[T]]:
        """The results, one an item, in order."""
        room = session.max_bytes - self.request([], Part(0, True, 0)).ByteSize()
        results: list[T] = []
        for number, (chunk, last) in enumerate(_marked(chunks(self.items(session.max_bytes), room))):
            answers = yield from self._answers(chunk, Part(number, last, 0), session)
            for prepared, (result, response) in zip(chunk, answers, strict=True):
                restore(result, prepared, len(results))
                results.append(self.parse(result, response, prepared.path))
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
            part = replace(part, attempt=part.attempt + 1)


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


def _marked(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether it is the last one."""
    waiting: list[T] = []
    for item in items:
        if waiting:
            yield waiting.pop(), False
        waiting.append(item)
    if waiting:
        yield waiting.pop(), True


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
