"""The batcher by itself, with encoders that wait, fail or lie: faults a real one cannot be asked for."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.server.batcher import Batcher
from glimpse.server.errors import RequestError

Rows = npt.NDArray[np.float32]
Make = Callable[..., Batcher[Any]]


class Encoder:
    """Doubles its input; waits at a gate; remembers its batches."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[float]] = []

    def __call__(self, items: Sequence[Rows]) -> Rows:
        self.gate.wait(5)
        values = [float(item[0]) for item in items]
        self.batches.append(values)
        if -1.0 in values:
            raise RuntimeError("the device is gone")
        rows = np.array([[2 * value] for value in values], np.float32)
        return rows[:-1] if -2.0 in values else rows


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
async def make(encoder: Encoder) -> AsyncIterator[Make]:
    made: list[Batcher[Any]] = []
    with ThreadPoolExecutor(1) as executor:

        def make(max_batch: int = 4, queue_limit: int = 100) -> Batcher[Any]:
            made.append(Batcher(encoder, executor, max_batch, queue_limit))
            return made[-1]

        yield make
        encoder.gate.set()
        for batcher in made:
            await batcher.close()


def item(value: float) -> Rows:
    return np.array([value], np.float32)


async def test_an_idle_device_starts_at_once_and_a_busy_one_batches(make: Make, encoder: Encoder) -> None:
    batcher = make()
    encoder.gate.clear()
    tasks = [asyncio.create_task(batcher.encode(item(value))) for value in range(7)]
    await asyncio.sleep(0.05)
    encoder.gate.set()
    results = await asyncio.gather(*tasks)
    assert [float(result.vector[0]) for result in results] == [2.0 * value for value in range(7)]
    assert encoder.batches[0] in ([0.0], [0.0, 1.0, 2.0, 3.0])  # what had arrived when it was free
    assert max(map(len, encoder.batches)) <= 4
    assert sum(map(len, encoder.batches)) == 7
    started = time.monotonic()
    await batcher.encode(item(1))
    assert time.monotonic() - started < 0.5  # no timer


async def test_cancelled_and_expired_entries_are_dropped_before_encoding(make: Make, encoder: Encoder) -> None:
    batcher = make()
    encoder.gate.clear()
    running = asyncio.create_task(batcher.encode(item(0)))
    await asyncio.sleep(0.02)
    cancelled = asyncio.create_task(batcher.encode(item(1)))
    expired = asyncio.create_task(batcher.encode(item(2), time.monotonic() + 0.01))
    kept = asyncio.create_task(batcher.encode(item(3)))
    await asyncio.sleep(0.05)
    cancelled.cancel()
    encoder.gate.set()
    assert float((await kept).vector[0]) == 6
    await running
    with pytest.raises(RequestError, match="DEADLINE_EXCEEDED"):
        await expired
    assert encoder.batches == [[0.0], [3.0]]


async def test_a_cancelled_caller_in_the_running_batch_harms_no_other(make: Make, encoder: Encoder) -> None:
    batcher = make()
    encoder.gate.clear()
    gone, stays = (asyncio.create_task(batcher.encode(item(value))) for value in (1, 2))
    await asyncio.sleep(0.05)
    gone.cancel()
    encoder.gate.set()
    assert float((await stays).vector[0]) == 4
    assert float((await batcher.encode(item(5))).vector[0]) == 10


async def test_a_failing_batch_fails_alone(make: Make) -> None:
    batcher = make()
    with pytest.raises(RuntimeError, match="the device is gone"):
        await batcher.encode(item(-1))
    assert float((await batcher.encode(item(3))).vector[0]) == 6


async def test_a_wrong_number_of_vectors_is_an_error_that_names_both(make: Make) -> None:
    batcher = make()
    with pytest.raises(RuntimeError, match="0 vectors for 1 inputs"):
        await batcher.encode(item(-2))
    assert float((await batcher.encode(item(3))).vector[0]) == 6


async def test_a_full_queue_says_when_to_return(make: Make, encoder: Encoder) -> None:
    batcher = make(queue_limit=2)
    with batcher.place(), batcher.place():
        with pytest.raises(RequestError, match="QUEUE_FULL") as caught, batcher.place():
            pass
        assert caught.value.retry_delay
    with batcher.place():
        assert float((await batcher.encode(item(1))).vector[0]) == 2


async def test_closing_cancels_what_waits(make: Make, encoder: Encoder) -> None:
    batcher = make(max_batch=1)
    encoder.gate.clear()
    tasks = [asyncio.create_task(batcher.encode(item(value))) for value in range(3)]
    await asyncio.sleep(0.02)
    encoder.gate.set()
    await batcher.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[-1], asyncio.CancelledError)
