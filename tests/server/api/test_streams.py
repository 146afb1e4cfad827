"""`ordered` keeps the order of the inputs, works on one window at a time, and cleans up when it ends early."""

import asyncio
import math
import time
from collections.abc import AsyncIterator

import pytest

from glimpse.server.api.streaming import ordered, retry_while_queue_full
from glimpse.server.errors import Queue, RequestError, exhausted, queue_full
from glimpse.server.scheduling.inflight import InflightLimiter


class Source:
    """Yields numbers, and counts those that were taken."""

    def __init__(self, count: int, broken_at: int | None = None) -> None:
        self.taken = 0
        self._count, self._broken_at = count, broken_at

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in range(self._count):
            if number == self._broken_at:
                raise ConnectionError("the sender is gone")
            self.taken += 1
            yield number
            await asyncio.sleep(0)


async def test_answers_keep_the_order_of_the_inputs() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0.02 if number % 3 == 0 else 0)
        return number * 10

    assert [answer async for answer in ordered(aiter(Source(50)), work, 8, InflightLimiter())] == [
        10 * n for n in range(50)
    ]


async def test_only_one_window_of_inputs_is_read_ahead() -> None:
    source, gate = Source(1_000), asyncio.Event()

    async def work(number: int) -> int:
        await gate.wait()
        return number

    answers = ordered(aiter(source), work, 8, InflightLimiter())
    first = asyncio.ensure_future(anext(answers))
    await asyncio.sleep(0.05)
    assert source.taken <= 8 + 1  # one more may have been read
    gate.set()
    assert await first == 0
    await asyncio.sleep(0.05)
    assert source.taken <= 8 + 2, "a reader that does not read holds the sender back"
    assert [answer async for answer in answers] == list(range(1, 1_000))


async def test_the_work_is_cancelled_when_the_reader_leaves() -> None:
    source, cancelled = Source(1_000), 0

    async def work(number: int) -> int:
        nonlocal cancelled
        if number == 0:
            return 0
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return number

    answers = ordered(aiter(source), work, 8, InflightLimiter())
    assert await anext(answers) == 0
    await asyncio.sleep(0.02)
    await answers.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.02)
    assert cancelled >= 7
    assert source.taken < 20


async def test_an_error_of_the_sender_comes_after_the_answers_to_what_it_sent() -> None:
    async def work(number: int) -> int:
        return number

    answers = ordered(aiter(Source(10, broken_at=3)), work, 8, InflightLimiter())
    assert [await anext(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ConnectionError):
        await anext(answers)


async def test_a_stopping_server_answers_the_inputs_under_way_and_ends_the_stream() -> None:
    inflight, gate = InflightLimiter(), asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 0
        yield 1
        await asyncio.sleep(60)  # the sender is idle

    async def work(number: int) -> int:
        await gate.wait()
        return number

    answers = ordered(numbers(), work, 8, inflight)
    first = asyncio.ensure_future(anext(answers))
    await asyncio.sleep(0.02)
    stopped = asyncio.ensure_future(inflight.stop(5))
    await asyncio.sleep(0.02)
    assert not stopped.done(), "two inputs are being worked on"
    gate.set()
    assert [await first, await anext(answers)] == [0, 1]
    await asyncio.wait_for(stopped, 1)
    with pytest.raises(RequestError) as caught:
        await anext(answers)
    assert caught.value.reason == "STOPPING"


async def test_a_stream_retries_while_the_queue_is_full_until_its_deadline() -> None:
    refused = [queue_full(Queue.INPUTS, "later", 0.01)] * 3

    async def work() -> int:
        if refused:
            raise refused.pop()
        return 7

    assert await retry_while_queue_full(work, math.inf) == 7
    refused += [queue_full(Queue.INPUTS, "later", 60.0)]
    with pytest.raises(RequestError, match="QUEUE_FULL"):
        await retry_while_queue_full(work, time.monotonic() + 1)
    refused += [exhausted("TOO_MANY_EXAMPLES", "no", None)]
    with pytest.raises(RequestError, match="TOO_MANY_EXAMPLES"):
        await retry_while_queue_full(work, math.inf)


async def test_answers_count_as_held_until_they_are_sent() -> None:
    inflight = InflightLimiter(100)

    async def work(number: int) -> int:
        return number

    answers = ordered(aiter(Source(20)), work, 8, inflight, lambda _: 0, lambda _: 10)
    assert await anext(answers) == 0
    await asyncio.sleep(0.02)
    assert inflight.held == 80, "those made, and the one that is being sent"
    assert [await anext(answers) for _ in range(4)] == [1, 2, 3, 4]
    await answers.aclose()  # type: ignore[attr-defined]
    assert inflight.held == 0
