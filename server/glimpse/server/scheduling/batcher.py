"""Many callers, one device: whenever it is free, it takes what is waiting.

An idle device starts at once, a busy one finds a batch when it comes back. Only where decoding takes the encoder's own
cores does it let inputs that are on their way come first, for a part of the time that one of them takes. Callers are
served in turn. Bounded: a caller takes a place first (admission.py). Entries whose caller has gone, or whose deadline
has passed, are dropped before they cost anything.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from glimpse.server.errors import deadline_exceeded
from glimpse.server.scheduling.admission import Admission
from glimpse.server.scheduling.batch_window import BatchWindow
from glimpse.server.scheduling.fair_queue import FairQueue
from glimpse.server.telemetry import metrics
from glimpse.server.telemetry.latency_stats import LatencyWindow

# The items: plain arrays of pixels or token ids.
T = TypeVar("T", bound=npt.NDArray[Any])
Vectors = npt.NDArray[np.float32]
# The longest wait for inputs on their way, in the time that one input takes.
_PATIENCE = 0.5
# A wait shorter than this many seconds is no longer what it is said to be.
_SHORTEST_WAIT = 1e-3


@dataclass(frozen=True, slots=True)
class Encoded:
    """One input's vector, (d,), and where its time went (seconds)."""

    vector: Vectors
    queue_seconds: float
    encode_seconds: float
    batch_size: int


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    future: asyncio.Future[Encoded]
    deadline: float
    since: float


class Batcher(Generic[T]):
    """Feeds one encoder. Lives on one event loop; `encode` runs in `executor`."""

    def __init__(
        self,
        encode: Callable[[Sequence[T]], Vectors],
        executor: Executor,
        max_batch: int,
        admission: Admission,
        *,
        patient: bool = False,
    ) -> None:
        """`encode` takes up to `max_batch` items and returns as many rows, in order.

        `patient`: whether inputs are decoded on the encoder's own cores, so that it waits for those on their way.
        """
        self._encode = encode
        self._executor = executor
        self.max_batch = max_batch
        self.admission = admission
        #: The inputs of each run of late.
        self.runs = LatencyWindow()
        self._queue: FairQueue[_Entry[T]] = FairQueue()
        self._closed = False
        self._patient = patient
        self._arrivals = BatchWindow()
        self._seconds_per_item = 0.01
        self._changed = asyncio.Event()
        self._worker = asyncio.create_task(self._work())

    @contextmanager
    def place(self) -> Iterator["QueueSlot[T]"]:
        """A place in the queue, held from before the input is decoded until its vector is there.

        Raises RequestError RESOURCE_EXHAUSTED, with the time by which those ahead should have been served.
        """
        with self.admission.place() as caller:
            self._arrivals.admitted(time.monotonic())
            place = QueueSlot(self, caller)
            try:
                yield place
            finally:
                place.ready()

    def ready(self) -> None:
        """An input with a place is decoded, or has failed. Called by the place."""
        self._arrivals.ready()
        self._changed.set()

    def put(self, caller: str, item: T, deadline: float) -> asyncio.Future[Encoded]:
        """Queues a decoded input; its vector will be the result. Called by the place."""
        future: asyncio.Future[Encoded] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.cancel()
            return future
        self._queue.put(caller, _Entry(item, future, deadline, time.monotonic()))
        return future

    @property
    def depth(self) -> int:
        """How many inputs have a place."""
        return self.admission.taken

    async def close(self) -> None:
        """Ends the worker; what still waits is cancelled."""
        self._closed = True
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        for entry in self._queue:
            entry.future.cancel()
        self._queue.clear()

    async def _work(self) -> None:
        while True:
            while not self._queue:
                self._changed.clear()
                await self._changed.wait()
            if self._patient:
                await self._gather()
            if batch := self._take():
                await self._run(batch)

    async def _gather(self) -> None:
        """Lets inputs that are on their way come first."""
        patience = _PATIENCE * self._seconds_per_item
        if patience < _SHORTEST_WAIT:
            return
        end = time.monotonic() + patience
        while len(self._queue) < self.max_batch:
            # No caller loses an answer by it that there was time for.
            soonest = min(entry.deadline for entry in self._queue) - self._seconds_per_item
            seconds = min(end, self._arrivals.expected_until(), soonest) - time.monotonic()
            if seconds <= 0:
                return
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def _take(self) -> list[_Entry[T]]:
        """The next entries somebody still waits for."""
        batch: list[_Entry[T]] = []
        now = time.monotonic()
        while self._queue and len(batch) < self.max_batch:
            entry = self._queue.take()
            if entry.future.done():  # the caller was cancelled
                continue
            if entry.deadline <= now:
                entry.future.set_exception(deadline_exceeded())
                continue
            batch.append(entry)
        return batch

    async def _run(self, batch: list[_Entry[T]]) -> None:
        metrics.batch_size.observe(len(batch))
        self.runs.note(len(batch))
        items = [entry.item for entry in batch]

        def encode() -> tuple[Vectors, float, float]:
            # Timed in the thread: another batcher's run may have to end there first.
            began = time.monotonic()
            return self._encode(items), began, time.monotonic()

        try:
            vectors, began, ended = await asyncio.get_running_loop().run_in_executor(self._executor, encode)
            if len(vectors) != len(batch):
                raise RuntimeError(f"the encoder returned {len(vectors)} vectors for {len(batch)} inputs")
        except asyncio.CancelledError:  # closing: nobody is left waiting
            for entry in batch:
                entry.future.cancel()
            raise
        except Exception as error:  # the encoder's fault fails its batch, not the batches after it
            for entry in batch:
                if not entry.future.done():
                    entry.future.set_exception(error)
            return
        seconds = ended - began
        self._seconds_per_item += 0.2 * (seconds / len(batch) - self._seconds_per_item)
        self._arrivals.answered(len(batch), time.monotonic(), _PATIENCE * self._seconds_per_item)
        for entry, vector in zip(batch, vectors, strict=True):
            if not entry.future.done():  # cancelled meanwhile
                entry.future.set_result(Encoded(vector, began - entry.since, seconds, len(batch)))


class QueueSlot(Generic[T]):
    """One input's place in a batcher's queue."""

    def __init__(self, batcher: Batcher[T], caller: str) -> None:
        self._batcher = batcher
        self._caller = caller
        self._decoding = True

    async def encode(self, item: T, deadline: float = np.inf) -> Encoded:
        """The decoded item's vector. `deadline` in time.monotonic() seconds."""
        vector = self._batcher.put(self._caller, item, deadline)
        self.ready()
        return await vector

    def ready(self) -> None:
        """There is no decoding to wait for; said once or more often."""
        if self._decoding:
            self._decoding = False
            self._batcher.ready()
