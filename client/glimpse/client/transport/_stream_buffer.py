"""A stream's inputs between the caller and gRPC, with back-pressure both ways.

    caller's iterator ─▶ Backlog (at most `window`) ─▶ gRPC ─▶ server
                             ▲ one leaves for each answer ◀────┘

A thread of its own reads the caller's iterator, so that an answer is handed out as soon as it is there, even
if the next input takes its time. What was read and not answered is kept, and sent again should the stream
break.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from glimpse.client.requests._content import as_list
from glimpse.client.requests._inputs import Input, Inputs, Prepared, prepare_input
from glimpse.client.transport._errors import Internal

_END: Any = object()


class Backlog:
    """Inputs that were read and are not answered yet; at most `window` of them."""

    def __init__(self, inputs: Inputs, window: int, max_bytes: int) -> None:
        self._inputs = inputs
        self._window = window
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._entries: deque[Prepared] = deque()
        self._stream = 0  # counts streams; requests of an earlier one end
        self._ended = False
        self.answered = 0
        self.error: BaseException | None = None
        threading.Thread(target=self._read, name="glimpse-inputs", daemon=True).start()

    def requests(self, first: Any, wrap: Callable[[Any], Any]) -> Iterator[Any]:
        """A new stream's messages: the first, then every input without an answer, until all are sent."""
        with self._changed:
            self._stream += 1
            stream, position = self._stream, self.answered
            self._changed.notify_all()
        return self._messages(first, wrap, stream, position)

    def answer(self) -> tuple[Prepared, int]:
        """Takes out the input whose answer came, and its position; makes room for another."""
        with self._changed:
            if not self._entries:
                raise Internal("the server sent more answers than there were inputs")
            entry = self._entries.popleft()
            self.answered += 1
            self._changed.notify_all()
            return entry, self.answered - 1

    def unanswered(self) -> int:
        """How many inputs still wait for their answer."""
        return len(self._entries)

    def close(self) -> None:
        """Stops reading and ends every stream's requests."""
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
                given = next(source, _END)
                if given is _END:
                    return
                item = prepare_input(given, self._max_bytes)
                with self._changed:
                    self._entries.append(item)
                    self._changed.notify_all()
        except BaseException as error:  # the caller's iterator's own; raised where the answers are read
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._entries) < self._window)
            return not self._ended
