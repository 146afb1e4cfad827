"""Bidirectional streams: a config first, then inputs; answers in the inputs' order, reading ahead a little."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from glimpse.server.duty import Duty, stopping
from glimpse.server.errors import RequestError, invalid
from glimpse.server.rpc import check_size
from glimpse.v1 import types_pb2

T = TypeVar("T")
R = TypeVar("R")


async def first_config(servicer: Any, requests: AsyncIterator[Any]) -> Any:
    """The stream's first message's config. Raises RequestError where it carries none."""
    first = await anext(requests, None)
    if first is not None:
        check_size(servicer, first)
    if first is None or first.WhichOneof("message") != "config":
        raise invalid("CONFIG_REQUIRED", "the first message of the stream carries its config", "config")
    return first.config


async def inputs_of(servicer: Any, requests: AsyncIterator[Any]) -> AsyncIterator[types_pb2.Input | RequestError]:
    """The inputs of every later message; a message that is no good stands as its refusal, in its place."""
    async for request in requests:
        try:
            check_size(servicer, request)
            if request.WhichOneof("message") != "input":
                raise invalid("INPUT_REQUIRED", "every message after the first carries an input", "input")
        except RequestError as refusal:
            yield refusal
        else:
            yield request.input


async def patiently(work: Callable[[], Awaitable[R]], deadline: float) -> R:
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
    inputs: AsyncIterator[T], work: Callable[[T], Awaitable[R]], window: int, duty: Duty
) -> AsyncIterator[R]:
    """Works on up to `window` inputs at once and yields in their order; reads no further ahead than that.

    Nor does it where the requests being answered take all the memory they may.

    Raises RequestError UNAVAILABLE, after what was begun is answered, when the server stops.
    """
    slots = asyncio.Semaphore(window)
    tasks: asyncio.Queue[asyncio.Future[R] | None] = asyncio.Queue()
    running: set[asyncio.Future[R]] = set()

    async def answer(item: T) -> R:
        with duty.of(item.ByteSize() if isinstance(item, types_pb2.Input) else 0):
            return await work(item)

    async def feed() -> None:
        try:
            async for item in inputs:
                await slots.acquire()
                await duty.room()
                task = asyncio.ensure_future(answer(item))
                running.add(task)
                task.add_done_callback(running.discard)
                tasks.put_nowait(task)
        finally:
            tasks.put_nowait(None)

    async def refuse() -> None:
        await duty.stopping.wait()
        refusal: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        refusal.set_exception(stopping())
        tasks.put_nowait(refusal)

    feeder, refuser = asyncio.create_task(feed()), asyncio.create_task(refuse())
    try:
        while (task := await tasks.get()) is not None:
            yield await task
            slots.release()
        await feeder
    finally:
        feeder.cancel()
        refuser.cancel()
        for task in list(running):
            task.cancel()
