"""A closed loop of callers: each sends its next call when the last one is answered."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Load:
    """The calls per second and the latencies in milliseconds of one loop."""

    per_second: float
    p50_ms: float
    p99_ms: float


def median_load(loads: Sequence[Load]) -> Load:
    """Returns the median of each figure."""
    return Load(*(statistics.median(getattr(load, name) for load in loads) for name in Load.__dataclass_fields__))


async def closed_loop(call: Callable[[int], Awaitable[object]], callers: int, seconds: float) -> Load:
    """Runs a closed loop after a warm-up of a quarter of its time.

    Args:
        call: Sends one call; its argument is a running number.
        callers: How many callers run at once.
        seconds: The duration, without the warm-up.
    """
    number = 0
    done: list[tuple[float, float]] = []  # the time of each answer, and its latency
    began = time.perf_counter()
    start = began + seconds / 4
    end = start + seconds

    async def caller() -> None:
        nonlocal number
        while (sent := time.perf_counter()) < end:
            number += 1
            await call(number)
            answered = time.perf_counter()
            done.append((answered, answered - sent))

    await asyncio.gather(*(caller() for _ in range(callers)))
    times, latencies = np.array(done).T
    # Answers come in bursts, one for each batch. From the end of one burst to the end of another, every burst is whole.
    first = times[times <= start].max(initial=times.min())
    last = times[times <= end].max(initial=times.min())
    counted = (times > first) & (times <= last)
    if not counted.any():
        # The machine is too slow for a whole burst in this time: count every answer.
        first, last, counted = began, times.max(), times > began
    p50, p99 = np.percentile(latencies[counted], [50, 99]) * 1e3
    return Load(float(counted.sum() / (last - first)), float(p50), float(p99))
