"""Sessions: the browsers that may use the console, each behind a random cookie.

A session and its key live in the memory of this process alone. They end at sign-out, after eight hours without any
action, and with the process.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_TOKEN_BYTES = 32
_MAX_SESSIONS = 200
_SWEEP_SECONDS = 60.0


class Closable(Protocol):
    """A session as the set sees it."""

    @property
    def in_use(self) -> bool:
        """True while a page is open."""

    async def close(self) -> None:
        """Forgets everything."""


S = TypeVar("S", bound=Closable)


def boot_seconds() -> float:
    """Returns seconds that also pass while the machine is suspended, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(slots=True)
class _Entry(Generic[S]):
    session: S
    last: float


class Sessions(Generic[S]):
    """The sessions by their tokens."""

    def __init__(
        self, idle_seconds: float, clock: Callable[[], float] = boot_seconds, limit: int = _MAX_SESSIONS
    ) -> None:
        """Creates an empty set.

        Args:
            idle_seconds: A session is forgotten after this time without an action.
            clock: Returns seconds, from any start.
            limit: Number of sessions. Past it the one that waited longest without an open page is forgotten.
        """
        self._idle = idle_seconds
        self._clock = clock
        self._limit = limit
        self._entries: dict[str, _Entry[S]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def add(self, session: S) -> str | None:
        """Adds a session; returns its token, or None if all places are taken by sessions with an open page."""
        await self.sweep()
        if len(self._entries) >= self._limit and not await self._make_room():
            return None
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._entries[token] = _Entry(session, self._clock())
        return token

    def find(self, token: str) -> S | None:
        """Returns the session of a token. None: there is none, or it was idle for too long."""
        entry = self._entries.get(token)
        if entry is None or self._clock() - entry.last >= self._idle:
            return None
        return entry.session

    def touch(self, token: str) -> None:
        """Notes an action of a session."""
        if self.find(token) is not None:
            self._entries[token].last = self._clock()

    async def end(self, token: str) -> None:
        """Forgets a session. An unknown token is ignored."""
        entry = self._entries.pop(token, None)
        if entry is not None:
            await entry.session.close()

    async def sweep(self) -> None:
        """Forgets the sessions that were idle for too long."""
        await self._end_all([token for token in self._entries if self.find(token) is None])

    async def sweep_forever(self) -> None:
        """Forgets idle sessions every minute, until it is cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await self.sweep()

    async def clear(self) -> None:
        """Forgets all sessions."""
        await self._end_all(list(self._entries))

    async def _make_room(self) -> bool:
        unused = [token for token, entry in self._entries.items() if not entry.session.in_use]
        if unused:
            await self.end(min(unused, key=lambda token: self._entries[token].last))
        return bool(unused)

    async def _end_all(self, tokens: list[str]) -> None:
        ends: list[Awaitable[None]] = [self.end(token) for token in tokens]
        await asyncio.gather(*ends)
