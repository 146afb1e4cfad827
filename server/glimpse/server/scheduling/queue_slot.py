"""One input's place in a batcher's queue, held from before it is decoded until its vector is ready."""

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

# Items are plain arrays of pixels or token ids.
T = TypeVar("T", bound=npt.NDArray[Any])
T_contra = TypeVar("T_contra", bound=npt.NDArray[Any], contravariant=True)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One input's vector, shape (d,), and the seconds that it waited and was encoded."""

    vector: npt.NDArray[np.float32]
    queue_seconds: float
    encode_seconds: float
    batch_size: int


class SlotQueue(Protocol[T_contra]):
    """The part of a batcher that a slot uses."""

    def put(self, caller: str, item: T_contra, deadline: float) -> asyncio.Future[Encoded]:
        """Queues a decoded input and returns a future of its vector."""

    def ready(self) -> None:
        """Counts an input that is decoded or has failed."""


class QueueSlot(Generic[T]):
    """One input's place in a batcher's queue."""

    def __init__(self, queue: SlotQueue[T], caller: str) -> None:
        self._queue = queue
        self._caller = caller
        self._decoding = True

    async def encode(self, item: T, deadline: float = np.inf) -> Encoded:
        """Returns the decoded item's vector. `deadline` is in time.monotonic() seconds."""
        vector = self._queue.put(self._caller, item, deadline)
        self.ready()
        return await vector

    def ready(self) -> None:
        """Reports that the input needs no more decoding. Further calls have no effect."""
        if self._decoding:
            self._decoding = False
            self._queue.ready()
