"""A build on one machine: threads read and decode ahead, one encodes, one writes.

A window is 256 inputs that follow one another, known ones included: so its batches, and with them the last bits of its
vectors, do not hang on what was interrupted before.
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
# Windows that are read while one is encoded; rows that wait to be written.
_AHEAD, _BEHIND = 2, 2
# Inputs that each thread has waiting, with what they hold: the pictures of a tar are in memory.
_WAITING = 4

_Look = Future[tuple[Looked | Unreadable, float]]


def each_once(inputs: Iterable[Entry | Unreadable], ids: Ids) -> Iterator[Entry | Unreadable]:
    """The inputs; one whose id another had before is no entry."""
    for one in inputs:
        if isinstance(one, Unreadable) or ids.add(one.id):
            yield one
        else:
            yield Unreadable(one.source, one.id, "DUPLICATE_ID", "another input of this build has the same id")


@dataclass(frozen=True, slots=True)
class Local:
    """Runs windows through threads of this process."""

    reader: Embedder
    known: Known
    rows: Rows
    threads: int

    def run(self, inputs: Iterator[Entry | Unreadable], write: Callable[[Made], None]) -> None:
        """Makes and writes all rows, in order. What was made is written, even where an error or Ctrl-C ends it."""
        room = threading.Semaphore(_WAITING * self.threads)
        decoding = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
        feeding = ThreadPoolExecutor(1, thread_name_prefix="feed")
        writing = ThreadPoolExecutor(1, thread_name_prefix="write")

        def feed() -> list[_Look]:
            """The next window, on its way."""
            looks = []
            for one in islice(inputs, WINDOW):
                room.acquire()
                looks.append(decoding.submit(look, one, self.known, self.reader))
                looks[-1].add_done_callback(lambda _: room.release())
            return looks

        broken = threading.Event()

        def put(made: Made) -> None:
            """Writes, in order: nothing after what could not be."""
            if not broken.is_set():
                try:
                    write(made)
                except BaseException:
                    broken.set()
                    raise

        coming = deque(feeding.submit(feed) for _ in range(_AHEAD))
        written: deque[Future[None]] = deque()
        try:
            while looks := coming.popleft().result():
                coming.append(feeding.submit(feed))
                made = self.rows.make([one.result() for one in looks])
                if len(written) == _BEHIND:
                    written.popleft().result()
                written.append(writing.submit(put, made))
            for one in written:
                one.result()
        finally:
            # What waits for room gets it as what is cancelled is done with.
            feeding.shutdown(wait=False, cancel_futures=True)
            decoding.shutdown(wait=True, cancel_futures=True)
            feeding.shutdown(wait=True)
            writing.shutdown(wait=True)
