"""The buffer between a stream's inputs and grpc.aio: `_stream_buffer` with a task instead of a thread."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from glimpse.client.requests._content import as_list
from glimpse.client.requests._inputs import AnyInput, AsyncStreamInputs, Input, Prepared, prepare_input
from glimpse.client.transport._errors import Internal


class AsyncStreamBuffer:
    """Holds the inputs, at most `window`, that were read and have no result yet.

    Attributes:
        answered: Number of inputs that have a result.
        error: The exception that the caller's iterator raised, if any. It is raised after the last result.
    """

    def __init__(self, inputs: AsyncStreamInputs, window: int, max_bytes: int) -> None:
        self._window = window
        self._max_bytes = max_bytes
        # Each change sets the event and replaces it, so a waiter always waits for the next change.
        self._changed = asyncio.Event()
        self._entries: deque[Prepared] = deque()
        self._stream = 0  # The number of the current stream. The requests of earlier streams end.
        self._ended = False
        self.answered = 0
        self.error: BaseException | None = None
        self._reader = asyncio.create_task(self._read(inputs), name="glimpse-inputs")

    def requests(self, first: Any, wrap: Callable[[Any], Any]) -> AsyncIterator[Any]:
        """Starts a new stream and returns its messages: `first`, then every input that has no result yet."""
        self._stream += 1
        self._notify()
        return self._messages(first, wrap, self._stream, self.answered)

    def take_answered(self) -> tuple[Prepared, int]:
        """Removes the oldest input, whose result arrived, and returns it with its position in the stream.

        Raises:
            Internal: If there is no input without a result.
        """
        if not self._entries:
            raise Internal("the server sent more answers than there were inputs")
        entry = self._entries.popleft()
        self.answered += 1
        self._notify()
        return entry, self.answered - 1

    def unanswered(self) -> int:
        """Returns the number of inputs that wait for their result."""
        return len(self._entries)

    def close(self) -> None:
        """Stops reading and ends the requests of every stream."""
        self._stream += 1
        self._ended = True
        self._reader.cancel()
        self._notify()

    async def _messages(self, first: Any, wrap: Callable[[Any], Any], stream: int, position: int) -> AsyncIterator[Any]:
        yield first
        while True:
            while stream == self._stream and not self._ended and not self._has(position):
                await self._changed.wait()
            if stream != self._stream or not self._has(position):
                return
            message = self._entries[position - self.answered].message
            position += 1
            yield wrap(message)

    def _has(self, position: int) -> bool:
        return position < self.answered + len(self._entries)

    async def _read(self, inputs: AsyncStreamInputs) -> None:
        try:
            async for content in _each(inputs):
                self._entries.append(prepare_input(content, self._max_bytes))
                self._notify()
                while len(self._entries) >= self._window:
                    await self._changed.wait()
        except Exception as error:  # The caller's iterator may raise anything; the reader of the results gets it.
            self.error = error
        finally:
            self._ended = True
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _each(inputs: AsyncStreamInputs) -> AsyncIterator[AnyInput]:
    if isinstance(inputs, AsyncIterable):
        async for item in inputs:
            yield item
    else:
        for item in as_list(inputs, Input):
            yield item
            await asyncio.sleep(0)  # Results are handled between two inputs.
