"""API keys: `glimpse_ID_SECRET`, 64 and 256 random bits in hexadecimal.

The ledger keeps a salted SHA-256 of the secret, no slow hash: those are for what people think up, and 256 random bits
cannot be guessed however quickly each guess is tried. The id finds the one row to compare with.
"""

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from glimpse.ledger import KeyRecord, LedgerError
from glimpse.server.auth.caller import Caller
from glimpse.server.auth.errors import expired, revoked, unknown
from glimpse.server.auth.rate_limits import Limits, RateLimiter
from glimpse.server.auth.scopes import Grant, Scope

logger = logging.getLogger(__name__)
PREFIX = "glimpse_"
# Until keys that could not be read are read again.
_PAUSE_SECONDS = 1.0
_KEY = re.compile(r"glimpse_([0-9a-f]{16})_([0-9a-f]{64})")


def new_key() -> tuple[str, str, bytes, bytes]:
    """A key to be shown once, and what of it is stored: id, salt, hash."""
    key_id, secret, salt = secrets.token_hex(8), secrets.token_hex(32), secrets.token_bytes(16)
    return f"{PREFIX}{key_id}_{secret}", key_id, salt, _hash(salt, secret)


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode()).digest()


# Compared with where there is no key of an id, so that an answer takes as long as where there is.
_NOBODYS = (bytes(16), bytes(32))


class Keyring:
    """The ledger's keys, in memory."""

    def __init__(self, read: Callable[[], Awaitable[Iterable[KeyRecord]]], defaults: Limits) -> None:
        """`read` gives every key there is; `defaults` are limits of keys that have none of their own."""
        self._read, self._defaults = read, defaults
        self._records: dict[str, KeyRecord] = {}
        self._callers: dict[str, Caller] = {}

    async def reload(self) -> None:
        """Takes the keys as they are now. What they have used of their limits stays."""
        self._records = {record.id: record for record in await self._read()}
        # A key never changes but by being revoked.
        self._callers = {name: self._callers.get(name) or self._caller(one) for name, one in self._records.items()}

    async def follow(self, changed: asyncio.Event) -> None:
        """Learns of keys that are made or revoked: reloads whenever that is said.

        While the ledger is out of reach nothing is said, and the keys are good that were: what a server holds it
        answers from then, and without keys it could answer nobody.
        """
        while True:
            await changed.wait()
            changed.clear()
            try:
                await self.reload()
            except Exception as error:  # whatever it is, a key that was revoked must not stay good for longer
                logger.warning("the keys cannot be read: %s", error, exc_info=not isinstance(error, LedgerError))
                changed.set()
                await asyncio.sleep(_PAUSE_SECONDS)

    def find(self, key: str) -> Caller:
        """Whose key it is, or was: see Caller.recheck. Raises RequestError UNAUTHENTICATED."""
        parts = _KEY.fullmatch(key)
        key_id, secret = parts.groups() if parts else ("", "")
        record = self._records.get(key_id)
        salt, wanted = (record.salt, record.hash) if record else _NOBODYS
        same = hmac.compare_digest(_hash(salt, secret), wanted)
        if not same or record is None:
            raise unknown("there is no such key")
        return self._callers[key_id]

    def _check(self, key_id: str) -> None:
        # Whoever has the secret may know what became of it.
        record = self._records.get(key_id)
        if record is None:  # the ledger is another since
            raise unknown("there is no such key")
        if record.revoke_time is not None:
            raise revoked(f"key {record.name!r} was revoked")
        if record.expire_time is not None and record.expire_time <= time.time_ns() // 1_000:
            raise expired(f"key {record.name!r} has expired")

    def _caller(self, record: KeyRecord) -> Caller:
        scope = Scope.named(record.scope)
        grants = tuple(Grant(scope, pattern) for pattern in record.collections) if scope else ()
        meter = RateLimiter(Limits(**record.limits).over(self._defaults))
        return Caller(record.name, grants, meter, partial(self._check, record.id))
