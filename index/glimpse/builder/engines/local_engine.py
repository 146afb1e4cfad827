"""Builds on one machine: several threads read and decode, one encodes, one writes.

A window is 256 consecutive inputs, including known ones. So its batches, and the last bits of its vectors, do not
depend on earlier interruptions.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from glimpse.backbone import Embedder
from glimpse.builder.engines.encode_rows import Looked, Made, Rows, look
from glimpse.builder.output.existing_rows import Ids, Known
from glimpse.inputs import Entry, Unreadable

WINDOW = 256
# Windows that are read while one is encoded, and windows that wait to be written.
_AHEAD, _BEHIND = 2, 2
# Waiting inputs per thread, with their content: the pictures of a tar are in memory.
_WAITING = 4

_Look = Future[tuple[Looked | Unreadable, float]]


def each_once(inputs: Iterable[Entry | Unreadable], ids: Ids) -> Iterator[Entry | Unreadable]:
    """Yields the inputs; an input with an id that occurred before becomes an `Unreadable`."""
    for one in inputs:
        if isinstance(one, Unreadable) or ids.add(one.id):
            yield one
        else:
            yield Unreadable(one.source, one.id, "DUPLICATE_ID", "another input of this build has the same id")


@dataclass(frozen=True, slots=True)
class Local:
    """Runs windows in threads of this process."""

    reader: Embedder
    known: Known
    rows: Rows
    threads: int

    def run(self, inputs: Iterator[Entry | Unreadable], write: Callable[[Made], None]) -> None:
        """Makes and writes all rows, in order. Rows made so far are written even if an error or Ctrl-C stops it."""
        room = threading.Semaphore(_WAITING * self.threads)
        decoding = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
        feeding = ThreadPoolExecutor(1, thread_name_prefix="feed")
        writing = ThreadPoolExecutor(1, thread_name_prefix="write")

        def feed() -> list[_Look]:
            """Starts reading the next window."""
            looks = []
            for one in islice(inputs, WINDOW):
                room.acquire()
                looks.append(decoding.submit(look, one, self.known, self.reader))
                looks[-1].add_done_callback(lambda _: room.release())
            return looks

        broken = threading.Event()

        def put(made: Made) -> None:
            """Writes a result, unless an earlier one could not be written."""
            if not broken.is_set():
                try:
                    write(made)
                except BaseException:
                    broken.set()
                    raise

        reading = deque(feeding.submit(feed) for _ in range(_AHEAD))
        written: deque[Future[None]] = deque()
        try:
            while looks := reading.popleft().result():
                reading.append(feeding.submit(feed))
                made = self.rows.make([one.result() for one in looks])
                if len(written) == _BEHIND:
                    written.popleft().result()
                written.append(writing.submit(put, made))
            for one in written:
                one.result()
        finally:
            # Cancelling releases the semaphore that the feeding thread may wait for.
            feeding.shutdown(wait=False, cancel_futures=True)
            decoding.shutdown(wait=True, cancel_futures=True)
            feeding.shutdown(wait=True)
            writing.shutdown(wait=True)
