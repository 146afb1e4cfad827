"""What the server is working on: so that a drain waits for work, and for nothing else."""

import asyncio
from contextlib import suppress

from glimpse.server.errors import Code, RequestError

_COME_BACK_SECONDS = 1.0


class Duty:
    """Counts running calls and stream inputs, each `with duty:`; once stopping, takes no more."""

    def __init__(self) -> None:
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        #: Whether every backbone is warm.
        self.ready = False
        #: Set when no more work is taken.
        self.stopping = asyncio.Event()

    def __enter__(self) -> None:
        """Begins one call, or one input of a stream. Raises RequestError UNAVAILABLE while stopping."""
        if self.stopping.is_set():
            raise stopping()
        self._running += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def stop(self, seconds: float) -> None:
        """Takes no more work, and waits at most so long for what is running."""
        self.stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()


def stopping() -> RequestError:
    """What callers are told meanwhile."""
    message = "this server is stopping; send the call to another, or again later"
    return RequestError(Code.UNAVAILABLE, "STOPPING", message, retry_delay=_COME_BACK_SECONDS)
