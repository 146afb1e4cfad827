"""An open loop of calls: they come at a rate, however long answers take, as from people who know not of each other."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import numpy as np
from google.rpc import error_details_pb2
from grpc_status import rpc_status

Call = Callable[[int], Awaitable[object]]


@dataclass
class Shed:
    """What became of the calls of one loop. Times in seconds; those of calls from when they were due."""

    offered: int = 0
    attempts: int = 0
    late: list[float] = field(default_factory=list)  # how much later than due a call was sent
    answered: list[float] = field(default_factory=list)  # the attempt that was answered
    whole: list[float] = field(default_factory=list)  # with what went before it
    refused: list[float] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def goodput(self) -> float:
        """Answers a second, of calls that were due in the time that counts."""
        return len(self.answered) / self.seconds


async def open_loop(call: Call, rate: float, seconds: float, *, returns: bool = False, seed: int = 0) -> Shed:
    """Calls at `rate` a second (Poisson) for `seconds`, after a warm-up of a quarter of that, which does not count.

    `returns`: a refused caller comes back when he is told to, for at most 10 seconds in all.
    """
    rng = np.random.default_rng(seed)
    warm_up = seconds / 4
    due = np.cumsum(rng.exponential(1 / rate, int(2 * rate * (seconds + warm_up)) + 10))
    shed = Shed(seconds=seconds)
    start = time.perf_counter() + 0.1
    tasks = []
    for number, at in enumerate(due[due < seconds + warm_up]):
        if (wait := start + at - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        one = _one(call, number, start + at, shed if at >= warm_up else Shed(), returns)
        tasks.append(asyncio.create_task(one))
    await asyncio.gather(*tasks)
    return shed


async def _one(call: Call, number: int, due: float, shed: Shed, returns: bool) -> None:
    shed.offered += 1
    shed.late.append(time.perf_counter() - due)
    began = due
    while True:
        shed.attempts += 1
        try:
            await call(number)
        except grpc.aio.AioRpcError as error:
            taken = time.perf_counter() - began
            delay = retry_delay(error)
            if delay is None:
                shed.other.append(f"{error.code().name}: {error.details()}")
                return
            shed.refused.append(taken)
            if not returns or time.perf_counter() + delay > due + 10:
                return
            await asyncio.sleep(delay * float(np.random.uniform(1.0, 1.2)))
            began = time.perf_counter()
        else:
            now = time.perf_counter()
            shed.answered.append(now - began)
            shed.whole.append(now - due)
            return


def retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    """When the server says to come back, in seconds; None: it refuses nothing of the kind."""
    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
        return None
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None
