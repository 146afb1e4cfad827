"""A closed loop of callers: each sends its next call when the last one is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Load:
    """What a loop saw. Times in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float


async def closed_loop(call: Callable[[int], Awaitable[object]], callers: int, seconds: float) -> Load:
    """`callers` at once for `seconds`, after a warm-up of a quarter of that; `call` gets a running number."""
    number = 0
    done: list[tuple[float, float]] = []  # when, and after how long
    start = time.perf_counter() + seconds / 4
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
    # Answers come in bursts of a batch: from the end of one burst to the end of another, no part of one is counted.
    first = times[times <= start].max(initial=times.min())
    last = times[times <= end].max(initial=times.min())
    within = (times > first) & (times <= last)
    p50, p99 = np.percentile(latencies[within], [50, 99]) * 1e3
    return Load(float(within.sum() / (last - first)), float(p50), float(p99))
