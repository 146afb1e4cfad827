"""Bidirectional streams: a config first, then inputs; answers in the inputs' order, reading ahead a little."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from glimpse.server.api.handlers import account_request, inflight_of, size_of
from glimpse.server.api.unparsable import UnparsableMessage
from glimpse.server.errors import RequestError, invalid
from glimpse.server.scheduling.inflight import InflightLimiter, stopping
from glimpse.v1 import types_pb2

T = TypeVar("T")
R = TypeVar("R")
# Of a caller who leaves, the end of his messages is here a moment before word that he has left, by which his call is
# cancelled: a millisecond where there is little to do.
_PARTING = 0.02


@dataclass(frozen=True, slots=True)
class StreamInput:
    """What a later message of a stream gives: its input (of one that is refused, no more than its id), its bytes."""

    input: types_pb2.Input
    size: int
    refusal: RequestError | None = None


@asynccontextmanager
async def opened(servicer: Any, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The config that a stream's first message carries, whose bytes are held while the context is open.

    Raises RequestError.
    """
    first = await servicer.runtime.inbound.next(lambda: anext(requests, None))
    if first is None:
        await asyncio.sleep(_PARTING)
    size = 0 if first is None else account_request(servicer, first)
    if first is None or first.WhichOneof("message") != "config":
        raise invalid("CONFIG_REQUIRED", "the first message of the stream carries its config", "config")
    inflight_of(servicer).check(size)
    with inflight_of(servicer).track_retained(size):
        yield first.config


def answers(
    servicer: Any, requests: AsyncIterator[Any], work: Callable[[StreamInput], Awaitable[R]]
) -> AsyncIterator[R]:
    """What `work` finds of each later message. Raises as `ordered`."""
    given, window = _given(servicer, requests), servicer.settings.stream_window
    return ordered(given, work, window, inflight_of(servicer), lambda one: one.size, size_of)


async def _given(servicer: Any, requests: AsyncIterator[Any]) -> AsyncIterator[StreamInput]:
    async for request in requests:
        size = size_of(request)
        try:
            account_request(servicer, request)
            if request.WhichOneof("message") != "input":
                raise invalid("INPUT_REQUIRED", "every message after the first carries an input", "input")
        except RequestError as refusal:
            known = "" if isinstance(request, UnparsableMessage) else request.input.id
            yield StreamInput(types_pb2.Input(id=known), size, refusal)
        else:
            yield StreamInput(request.input, size)


async def retry_while_queue_full(work: Callable[[], Awaitable[R]], deadline: float) -> R:
    """What `work` finds, of one input. A stream is not told to come back while there is time: it is held up.

    Raises RequestError. `deadline` in time.monotonic() seconds.
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


async def ordered(
    inputs: AsyncIterator[T],
    work: Callable[[T], Awaitable[R]],
    window: int,
    inflight: InflightLimiter,
    size: Callable[[T], int] = lambda _: 0,
    answer_size: Callable[[R], int] = lambda _: 0,
) -> AsyncIterator[R]:
    """Works on up to `window` inputs at once and yields in their order; reads no further ahead than that.

    Nor does it where the requests being answered take all the memory they may. `size`: of an input, in
    bytes, which counts until it is answered; `answer_size`: of an answer, which counts until it is sent.

    Raises RequestError UNAVAILABLE, after what was begun is answered, when the server stops.
    """
    slots = asyncio.Semaphore(window)
    tasks: asyncio.Queue[asyncio.Future[tuple[R, int]] | None] = asyncio.Queue()
    running: set[asyncio.Future[tuple[R, int]]] = set()

    async def answer(item: T) -> tuple[R, int]:
        with inflight.track_call(size(item)):
            response = await work(item)
        count(length := answer_size(response))
        return response, length

    async def feed() -> float:
        """Until the inputs end; returns when that was."""
        try:
            while True:
                # Before anything is read: what is in nobody's account yet would be held as well.
                await slots.acquire()
                await inflight.wait_for_room()
                try:
                    item = await anext(inputs)
                except StopAsyncIteration:
                    return time.monotonic()
                task = asyncio.ensure_future(answer(item))
                running.add(task)
                task.add_done_callback(running.discard)
                tasks.put_nowait(task)
        finally:
            tasks.put_nowait(None)

    async def refuse() -> None:
        await inflight.stopping.wait()
        refusal: asyncio.Future[tuple[R, int]] = asyncio.get_running_loop().create_future()
        refusal.set_exception(stopping())
        tasks.put_nowait(refusal)

    with inflight.track_responses() as count:
        feeder, refuser = asyncio.create_task(feed()), asyncio.create_task(refuse())
        try:
            while (task := await tasks.get()) is not None:
                response, length = await task
                yield response
                count(-length)
                slots.release()
            await asyncio.sleep(await feeder + _PARTING - time.monotonic())
        finally:
            feeder.cancel()
            refuser.cancel()
            for task in list(running):
                task.cancel()
