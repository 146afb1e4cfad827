"""Bidirectional streams: the first message has the config, the others have inputs; answers keep the inputs' order."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from glimpse.server.api.handlers import account_request, inflight_of, size_of
from glimpse.server.api.unparsable import UnparsableMessage
from glimpse.server.errors import RequestError, invalid
from glimpse.server.scheduling.inflight import InflightLimiter, stopping
from glimpse.v1 import types_pb2

T = TypeVar("T")
R = TypeVar("R")
# When a caller leaves, the end of its messages arrives a moment before the cancellation of its call: a millisecond
# where the server has little to do.
_CANCELLATION_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class StreamInput:
    """One later message of a stream: its input and its size in bytes. A refused message keeps the id of its input."""

    input: types_pb2.Input
    size: int
    refusal: RequestError | None = None


@asynccontextmanager
async def opened(servicer: Any, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Reads the config from the first message of a stream; its bytes count as held while the context is open.

    Args:
        servicer: The service that answers.
        requests: The messages of the stream.

    Yields:
        The config of the first message.

    Raises:
        RequestError: The first message has no config, or is too large.
    """
    first = await servicer.runtime.inbound.next(lambda: anext(requests, None))
    if first is None:
        await asyncio.sleep(_CANCELLATION_SECONDS)
    size = 0 if first is None else account_request(servicer, first)
    if first is None or first.WhichOneof("message") != "config":
        raise invalid("CONFIG_REQUIRED", "the first message of the stream must have the config", "config")
    inflight_of(servicer).check(size)
    with inflight_of(servicer).track_retained(size):
        yield first.config


def answers(
    servicer: Any, requests: AsyncIterator[Any], work: Callable[[StreamInput], Awaitable[R]]
) -> AsyncIterator[R]:
    """Answers each later message of a stream, in order.

    Args:
        servicer: The service that answers; its settings have the window.
        requests: The messages after the config.
        work: Returns the answer to one input.

    Raises:
        RequestError: The server stops; see `ordered`.
    """
    inputs, window = _inputs(servicer, requests), servicer.settings.stream_window
    return ordered(inputs, work, window, inflight_of(servicer), lambda item: item.size, size_of)


async def _inputs(servicer: Any, requests: AsyncIterator[Any]) -> AsyncIterator[StreamInput]:
    async for request in requests:
        size = size_of(request)
        try:
            account_request(servicer, request)
            if request.WhichOneof("message") != "input":
                raise invalid("INPUT_REQUIRED", "every message after the first must have an input", "input")
        except RequestError as refusal:
            input_id = "" if isinstance(request, UnparsableMessage) else request.input.id
            yield StreamInput(types_pb2.Input(id=input_id), size, refusal)
        else:
            yield StreamInput(request.input, size)


async def retry_while_queue_full(work: Callable[[], Awaitable[R]], deadline: float) -> R:
    """Repeats `work` on one input of a stream while a queue is full, so that flow control holds back the sender.

    Args:
        work: Returns the result of the input.
        deadline: In time.monotonic() seconds.

    Raises:
        RequestError: `work` failed for another reason, or the next attempt would be after the deadline.
    """
    while True:
        try:
            return await work()
        except RequestError as refusal:
            if refusal.reason != "QUEUE_FULL" or refusal.retry_delay is None:
                raise
            if time.monotonic() + refusal.retry_delay > deadline:
                raise
            delay = refusal.retry_delay
        await asyncio.sleep(delay)


def ordered(
    inputs: AsyncIterator[T],
    work: Callable[[T], Awaitable[R]],
    window: int,
    inflight: InflightLimiter,
    size: Callable[[T], int] = lambda _: 0,
    answer_size: Callable[[R], int] = lambda _: 0,
) -> AsyncIterator[R]:
    """Works on up to `window` inputs at once, and yields the answers in the order of the inputs.

    It reads no further ahead than the window, and stops reading while the requests in flight take all the memory
    allowed.

    Args:
        inputs: The inputs of the stream.
        work: Returns the answer to one input.
        window: How many inputs are worked on at once.
        inflight: Counts the bytes of inputs until they are answered, and of answers until they are sent.
        size: Returns the bytes of an input.
        answer_size: Returns the bytes of an answer.

    Raises:
        RequestError: UNAVAILABLE when the server stops, after the inputs in progress are answered.
    """
    return _OrderedStream(inputs, work, window, inflight, size, answer_size).answers()


class _OrderedStream(Generic[T, R]):
    """The state of one stream: a queue of tasks in the order of the inputs, of which `window` run at once."""

    def __init__(
        self,
        inputs: AsyncIterator[T],
        work: Callable[[T], Awaitable[R]],
        window: int,
        inflight: InflightLimiter,
        size: Callable[[T], int],
        answer_size: Callable[[R], int],
    ) -> None:
        self._inputs, self._work, self._inflight = inputs, work, inflight
        self._size, self._answer_size = size, answer_size
        self._slots = asyncio.Semaphore(window)
        #: The answers to come, in order; None after the last.
        self._tasks: asyncio.Queue[asyncio.Future[tuple[R, int]] | None] = asyncio.Queue()
        self._running: set[asyncio.Future[tuple[R, int]]] = set()
        self._count: Callable[[int], None] = lambda _: None

    async def answers(self) -> AsyncIterator[R]:
        """Yields the answers, and cancels the running work when the reader leaves."""
        with self._inflight.track_responses() as self._count:
            feeder, refuser = asyncio.create_task(self._feed()), asyncio.create_task(self._refuse_when_stopping())
            try:
                while (task := await self._tasks.get()) is not None:
                    response, length = await task
                    yield response
                    self._count(-length)
                    self._slots.release()
                await asyncio.sleep(await feeder + _CANCELLATION_SECONDS - time.monotonic())
            finally:
                feeder.cancel()
                refuser.cancel()
                for task in list(self._running):
                    task.cancel()

    async def _feed(self) -> float:
        """Starts a task for each input; returns when the inputs ended, in time.monotonic() seconds."""
        try:
            while True:
                # Wait before reading: a message that was read and not counted yet would be held as well.
                await self._slots.acquire()
                await self._inflight.wait_for_room()
                try:
                    item = await anext(self._inputs)
                except StopAsyncIteration:
                    return time.monotonic()
                task = asyncio.ensure_future(self._answer(item))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                self._tasks.put_nowait(task)
        finally:
            self._tasks.put_nowait(None)

    async def _answer(self, item: T) -> tuple[R, int]:
        """Returns the answer to an input and its size in bytes, which counts until it is sent."""
        with self._inflight.track_call(self._size(item)):
            response = await self._work(item)
        self._count(length := self._answer_size(response))
        return response, length

    async def _refuse_when_stopping(self) -> None:
        """Ends the stream with an error, after the answers in progress, when the server stops."""
        await self._inflight.stopping.wait()
        refusal: asyncio.Future[tuple[R, int]] = asyncio.get_running_loop().create_future()
        refusal.set_exception(stopping())
        self._tasks.put_nowait(refusal)
