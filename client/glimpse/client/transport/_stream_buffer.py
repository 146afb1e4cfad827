"""The buffer between a stream's inputs and gRPC, with back-pressure in both directions.

    caller's iterator ─▶ StreamBuffer (at most `window`) ─▶ gRPC ─▶ server
                             ▲ each result makes room for one input ◀──┘

A thread reads the caller's iterator, so that a slow input does not delay results that are ready. An input stays in the
buffer until its result arrives. If the stream breaks, the next stream sends the inputs in the buffer again.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from glimpse.client.requests._content import as_list
from glimpse.client.requests._inputs import Input, Prepared, StreamInputs, prepare_input
from glimpse.client.transport._errors import Internal

_END: Any = object()


class StreamBuffer:
    """Holds the inputs, at most `window`, that were read and have no result yet.

    Attributes:
        answered: Number of inputs that have a result.
        error: The exception that the caller's iterator raised, if any. It is raised after the last result.
    """

    def __init__(self, inputs: StreamInputs, window: int, max_bytes: int) -> None:
        self._inputs = inputs
        self._window = window
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._entries: deque[Prepared] = deque()
        self._stream = 0  # The number of the current stream. The requests of earlier streams end.
        self._ended = False
        self.answered = 0
        self.error: BaseException | None = None
        threading.Thread(target=self._read, name="glimpse-inputs", daemon=True).start()

    def requests(self, first: Any, wrap: Callable[[Any], Any]) -> Iterator[Any]:
        """Starts a new stream and returns its messages: `first`, then every input that has no result yet."""
        with self._changed:
            self._stream += 1
            stream, position = self._stream, self.answered
            self._changed.notify_all()
        return self._messages(first, wrap, stream, position)

    def take_answered(self) -> tuple[Prepared, int]:
        """Removes the oldest input, whose result arrived, and returns it with its position in the stream.

        Raises:
            Internal: If there is no input without a result.
        """
        with self._changed:
            if not self._entries:
                raise Internal("the server sent more answers than there were inputs")
            entry = self._entries.popleft()
            self.answered += 1
            self._changed.notify_all()
            return entry, self.answered - 1

    def unanswered(self) -> int:
        """Returns the number of inputs that wait for their result."""
        return len(self._entries)

    def close(self) -> None:
        """Stops reading and ends the requests of every stream."""
        with self._changed:
            self._stream += 1
            self._ended = True
            self._changed.notify_all()

    def _messages(self, first: Any, wrap: Callable[[Any], Any], stream: int, position: int) -> Iterator[Any]:
        yield first
        while True:
            with self._changed:
                while stream == self._stream and not self._ended and not self._has(position):
                    self._changed.wait()
                if stream != self._stream or not self._has(position):
                    return
                message = self._entries[position - self.answered].message
            position += 1
            yield wrap(message)

    def _has(self, position: int) -> bool:
        return position < self.answered + len(self._entries)

    def _read(self) -> None:
        try:
            source = iter(as_list(self._inputs, Input))
            while self._wait_for_room():
                content = next(source, _END)
                if content is _END:
                    return
                item = prepare_input(content, self._max_bytes)
                with self._changed:
                    self._entries.append(item)
                    self._changed.notify_all()
        except BaseException as error:  # The caller's iterator may raise anything; the reader of the results gets it.
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._entries) < self._window)
            return not self._ended
