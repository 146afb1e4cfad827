"""An open loop of calls: they arrive at a rate, however long the answers take, as from independent callers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import numpy as np
from google.rpc import error_details_pb2
from grpc_status import rpc_status

Call = Callable[[int], Awaitable[object]]
# A refused caller gives up this many seconds after its call was due.
_MAX_RETRY_SECONDS = 10


@dataclass
class Outcomes:
    """The outcomes of the calls of one loop.

    Attributes:
        offered: The number of calls.
        attempts: The number of times they were sent.
        late: How much later than due each call was sent, in seconds.
        answered: The latency of each answered attempt; the first attempt counts from when it was due.
        whole: The latency of each answered call from when it was due, with the attempts that were refused.
        refused: The latency of each refusal.
        other: All other errors.
        seconds: The duration of the loop, without the warm-up.
    """

    offered: int = 0
    attempts: int = 0
    late: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def goodput(self) -> float:
        """Answered calls per second, of the calls that were due after the warm-up."""
        return len(self.answered) / self.seconds


async def open_loop(call: Call, rate: float, seconds: float, *, retries: bool = False, seed: int = 0) -> Outcomes:
    """Sends calls at random times (a Poisson process), after a warm-up of a quarter of the duration.

    Args:
        call: Sends one call; its argument is a running number.
        rate: The mean number of calls per second.
        seconds: The duration, without the warm-up.
        retries: A refused caller retries after the delay that the server asks for, for at most 10 seconds.
        seed: Seeds the times of the calls.
    """
    rng = np.random.default_rng(seed)
    warm_up = seconds / 4
    due_times = np.cumsum(rng.exponential(1 / rate, int(2 * rate * (seconds + warm_up)) + 10))
    outcomes = Outcomes(seconds=seconds)
    start = time.perf_counter() + 0.1
    tasks = []
    for number, due in enumerate(due_times[due_times < seconds + warm_up]):
        if (wait := start + due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        target = outcomes if due >= warm_up else Outcomes()
        tasks.append(asyncio.create_task(_send(call, number, start + due, target, retries)))
    await asyncio.gather(*tasks)
    return outcomes


async def _send(call: Call, number: int, due: float, outcomes: Outcomes, retries: bool) -> None:
    outcomes.offered += 1
    outcomes.late.append(time.perf_counter() - due)
    began = due
    while True:
        outcomes.attempts += 1
        try:
            await call(number)
        except grpc.aio.AioRpcError as error:
            latency = time.perf_counter() - began
            delay = retry_delay(error)
            if delay is None:
                outcomes.other.append(f"{error.code().name}: {error.details()}")
                return
            outcomes.refused.append(latency)
            if not retries or time.perf_counter() + delay > due + _MAX_RETRY_SECONDS:
                return
            await asyncio.sleep(delay * float(np.random.uniform(1.0, 1.2)))
            began = time.perf_counter()
        else:
            now = time.perf_counter()
            outcomes.answered.append(now - began)
            outcomes.whole.append(now - due)
            return


async def until_answered(call: Call, number: int) -> object:
    """Sends a call, and again after the delay that the server asks for, until it is answered."""
    while True:
        try:
            return await call(number)
        except grpc.aio.AioRpcError as error:
            if (delay := retry_delay(error)) is None:
                raise
        await asyncio.sleep(delay)


def retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    """Returns the delay in seconds after which the server asks to retry; None if it does not ask for it."""
    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
        return None
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None
