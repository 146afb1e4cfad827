"""Batches the inputs of many callers for one device.

A free device takes all waiting inputs at once: an idle device starts immediately, and a busy one finds a batch when it
is free again. On the CPU, runs on one core each go side by side if many inputs wait (see run_slots.py). Only if
decoding uses the encoder's own cores does the batcher wait for inputs that are about to arrive, for a part of the time
that one input takes. Callers are served in turn. The queue is bounded: each input takes a place first (see
admission.py). An input whose caller has left or whose deadline has passed is dropped before it is encoded.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic

import numpy as np
import numpy.typing as npt

from glimpse.server.errors import deadline_exceeded
from glimpse.server.scheduling.admission import Admission
from glimpse.server.scheduling.batch_window import BatchWindow
from glimpse.server.scheduling.fair_queue import FairQueue
from glimpse.server.scheduling.queue_slot import Encoded, QueueSlot, T
from glimpse.server.scheduling.run_slots import Run, RunSlots
from glimpse.server.telemetry import metrics
from glimpse.server.telemetry.latency_stats import LatencyWindow

Vectors = npt.NDArray[np.float32]
# Longest wait for inputs that are about to arrive, as a part of the time that one input takes.
_PATIENCE = 0.5
# Timers are too coarse for a wait shorter than this many seconds.
_SHORTEST_WAIT = 1e-3


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    future: asyncio.Future[Encoded]
    deadline: float
    since: float


class Batcher(Generic[T]):
    """Feeds one encoder with batches. Lives on one event loop; the encoder runs in threads."""

    def __init__(
        self,
        encode: Callable[[Sequence[T], bool], Vectors],
        executor: Executor,
        max_batch: int,
        admission: Admission,
        slots: RunSlots,
        *,
        patient: bool = False,
    ) -> None:
        """Starts the worker.

        Args:
            encode: Takes up to `max_batch` items, and whether to use one core; returns as many vectors, (n, d), in
                order.
            executor: Runs `encode`, with a thread for each run that may go side by side.
            max_batch: Most items in a batch.
            admission: Limits the inputs that wait.
            slots: The encoder's runs.
            patient: Whether inputs are decoded on the encoder's own cores, so that it waits for inputs that are about
                to arrive.
        """
        self._encode = encode
        self._executor = executor
        self.max_batch = max_batch
        self.admission = admission
        #: Sizes of recent batches.
        self.runs = LatencyWindow()
        self._queue: FairQueue[_Entry[T]] = FairQueue()
        self._closed = False
        self._slots = slots
        self._runs: set[asyncio.Task[None]] = set()
        self._patient = patient
        self._window = BatchWindow()
        self._seconds_per_item = 0.01
        self._changed = asyncio.Event()
        self._worker = asyncio.create_task(self._work())

    @contextmanager
    def place(self) -> Iterator[QueueSlot[T]]:
        """Holds a place in the queue from before an input is decoded until its vector is ready.

        Raises:
            RequestError: RESOURCE_EXHAUSTED, with the time by which the inputs ahead should have been served.
        """
        with self.admission.place() as caller:
            self._window.admitted(time.monotonic())
            slot = QueueSlot(self, caller)
            try:
                yield slot
            finally:
                slot.ready()

    def ready(self) -> None:
        """Counts an input that is decoded or has failed. Called by its slot."""
        self._window.ready()
        self._changed.set()

    def put(self, caller: str, item: T, deadline: float) -> asyncio.Future[Encoded]:
        """Queues a decoded input and returns a future of its vector. Called by its slot."""
        future: asyncio.Future[Encoded] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.cancel()
            return future
        self._queue.put(caller, _Entry(item, future, deadline, time.monotonic()))
        return future

    @property
    def depth(self) -> int:
        """Number of inputs that hold a place."""
        return self.admission.taken

    async def close(self) -> None:
        """Ends the worker and cancels the waiting inputs."""
        self._closed = True
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        await asyncio.sleep(0)  # a run that was cancelled before its first step would leave its inputs waiting
        runs = [*self._runs]
        for task in runs:
            task.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        for entry in self._queue:
            entry.future.cancel()
        self._queue.clear()

    async def _work(self) -> None:
        while True:
            while not self._queue:
                self._changed.clear()
                await self._changed.wait()
            await self._slots.until_free()
            if self._patient and self._slots.idle:
                await self._gather()
            if not self._slots.free:  # another batcher's run started first
                continue
            run = self._slots.next(len(self._queue))
            if batch := self._take(min(run.max_inputs, self.max_batch)):
                self._slots.begin(run)
                task = asyncio.create_task(self._run(batch, run))
                self._runs.add(task)
                task.add_done_callback(self._runs.discard)

    async def _gather(self) -> None:
        """Waits for inputs that are about to arrive."""
        patience = _PATIENCE * self._seconds_per_item
        if patience < _SHORTEST_WAIT:
            return
        end = time.monotonic() + patience
        while len(self._queue) < self.max_batch:
            # Never wait past the earliest deadline in the queue.
            soonest = min(entry.deadline for entry in self._queue) - self._seconds_per_item
            seconds = min(end, self._window.expected_until(), soonest) - time.monotonic()
            if seconds <= 0:
                return
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def _take(self, most: int) -> list[_Entry[T]]:
        """Takes the next entries whose callers still wait."""
        batch: list[_Entry[T]] = []
        now = time.monotonic()
        while self._queue and len(batch) < most:
            entry = self._queue.take()
            if entry.future.done():  # the caller left
                continue
            if entry.deadline <= now:
                entry.future.set_exception(deadline_exceeded())
                continue
            batch.append(entry)
        return batch

    async def _run(self, batch: list[_Entry[T]], run: Run) -> None:
        metrics.batch_size.observe(len(batch))
        self.runs.append((time.monotonic(), len(batch)))  # what `add` does, with one call less for each batch
        items = [entry.item for entry in batch]

        def encode() -> tuple[Vectors, float, float]:
            began = time.monotonic()
            return self._encode(items, run.single_core), began, time.monotonic()

        try:
            vectors, began, ended = await asyncio.get_running_loop().run_in_executor(self._executor, encode)
            if len(vectors) != len(batch):
                raise RuntimeError(f"the encoder returned {len(vectors)} vectors for {len(batch)} inputs")
        except asyncio.CancelledError:  # the batcher closes, so no caller waits any longer
            for entry in batch:
                entry.future.cancel()
            raise
        except Exception as error:  # an error of the encoder fails its own batch only
            for entry in batch:
                if not entry.future.done():
                    entry.future.set_exception(error)
            return
        finally:
            self._slots.end(run)
        seconds = ended - began
        self._seconds_per_item += 0.2 * (seconds / len(batch) / self._slots.share(run) - self._seconds_per_item)
        self._window.answered(len(batch), time.monotonic(), _PATIENCE * self._seconds_per_item)
        for entry, vector in zip(batch, vectors, strict=True):
            if not entry.future.done():  # the caller left during the run
                entry.future.set_result(Encoded(vector, began - entry.since, seconds, len(batch)))
