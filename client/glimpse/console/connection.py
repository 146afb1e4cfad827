"""The connection of one session: its client, its caller, and whether the server answers."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from glimpse.client import AsyncClient, Caller, DeadlineExceeded, GlimpseError, Unavailable

log = logging.getLogger(__name__)

_CHECK_SECONDS = 2.0
_ANSWER_SECONDS = 3.0

Listener = Callable[[bool], None]


class Connection:
    """A client of one server with one key, and a watch on that server while somebody listens.

    The key is in the client alone, in the memory of this process.
    """

    def __init__(self, server: str | None, key: str) -> None:
        """Opens the connection. Nothing is sent before the first call.

        Args:
            server: Address of the server. None: the client's default.
            key: API key or token. Empty: the caller is anonymous, whatever GLIMPSE_API_KEY says.

        Raises:
            ValueError: If the address is malformed, or the key would be sent in plain text to another machine.
        """
        self.client = AsyncClient(server, api_key=key)
        self.answers = True
        self._listeners: list[Listener] = []
        self._watch: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Connection({self.client.address!r})"

    @property
    def server(self) -> str:
        """The address of the server."""
        return self.client.address

    async def get_caller(self) -> Caller:
        """Returns the caller as the server knows it.

        Raises:
            Unauthenticated: If the server requires a key, or does not know this one.
            GlimpseError: If the call fails for another reason.
        """
        return await self.client.get_caller(timeout=_ANSWER_SECONDS)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls a function with False when the server stops to answer, and with True when it answers again.

        Returns:
            A function that ends it.
        """
        self._listeners.append(listener)
        if self._watch is None:
            self._watch = asyncio.create_task(self._check_forever())

        def end() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return end

    async def close(self) -> None:
        """Closes the client, which forgets the key."""
        self._listeners.clear()
        if self._watch is not None:
            self._watch.cancel()
        await self.client.close()

    async def _check_forever(self) -> None:
        """Asks for the server's health while somebody listens."""
        while self._listeners:
            answers = await self._is_answering()
            if answers is not self.answers:
                self.answers = answers
                self._report(answers)
            await asyncio.sleep(_CHECK_SECONDS)
        self._watch = None

    def _report(self, answers: bool) -> None:
        for listener in list(self._listeners):
            try:
                listener(answers)
            except Exception:  # one page must not keep the others from hearing of it
                log.exception("a page could not show whether the server answers")

    async def _is_answering(self) -> bool:
        try:
            await self.client.health(timeout=_ANSWER_SECONDS)
        except (Unavailable, DeadlineExceeded):
            return False
        except GlimpseError:
            return True  # an error is an answer
        return True
