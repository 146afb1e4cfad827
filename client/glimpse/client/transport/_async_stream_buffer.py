"""A stream's inputs between the caller and grpc.aio: _backlog with a task in the thread's place."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from glimpse.client.requests._content import as_list
from glimpse.client.requests._inputs import AnyInput, Input, Inputs, Prepared, prepare_input
from glimpse.client.transport._errors import Internal

AnyInputs = Inputs | AsyncIterable[AnyInput]


class AsyncBacklog:
    """Inputs that were read and are not answered yet; at most `window` of them."""

    def __init__(self, inputs: AnyInputs, window: int, max_bytes: int) -> None:
        self._window = window
        self._max_bytes = max_bytes
        # Set on every change; whoever waits takes a new one.
        self._changed = asyncio.Event()
        self._entries: deque[Prepared] = deque()
        self._stream = 0  # counts streams; requests of an earlier one end
        self._ended = False
        self.answered = 0
        self.error: BaseException | None = None
        self._reader = asyncio.create_task(self._read(inputs), name="glimpse-inputs")

    def requests(self, first: Any, wrap: Callable[[Any], Any]) -> AsyncIterator[Any]:
        """A new stream's messages: the first, then every input without an answer, until all are sent."""
        self._stream += 1
        self._notify()
        return self._messages(first, wrap, self._stream, self.answered)

    def answer(self) -> tuple[Prepared, int]:
        """Takes out the input whose answer came, and its position; makes room for another."""
        if not self._entries:
            raise Internal("the server sent more answers than there were inputs")
        entry = self._entries.popleft()
        self.answered += 1
        self._notify()
        return entry, self.answered - 1

    def unanswered(self) -> int:
        """How many inputs still wait for their answer."""
        return len(self._entries)

    def close(self) -> None:
        """Stops reading and ends every stream's requests."""
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

    async def _read(self, inputs: AnyInputs) -> None:
        try:
            async for given in _each(inputs):
                self._entries.append(prepare_input(given, self._max_bytes))
                self._notify()
                while len(self._entries) >= self._window:
                    await self._changed.wait()
        except Exception as error:  # the caller's iterator's own; raised where the answers are read
            self.error = error
        finally:
            self._ended = True
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _each(inputs: AnyInputs) -> AsyncIterator[AnyInput]:
    if isinstance(inputs, AsyncIterable):
        async for one in inputs:
            yield one
    else:
        for one in as_list(inputs, Input):
            yield one
            await asyncio.sleep(0)  # lets answers in between
