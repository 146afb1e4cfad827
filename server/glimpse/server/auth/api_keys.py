"""API keys: `glimpse_ID_SECRET`, 64 and 256 random bits in hexadecimal.

The ledger stores a salted SHA-256 of the secret. A slow hash would protect passwords that people choose; 256 random
bits cannot be guessed, however fast each guess is checked. The id finds the one row to compare with.
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
# Pause before keys that could not be read are read again.
_PAUSE_SECONDS = 1.0
_KEY = re.compile(r"glimpse_([0-9a-f]{16})_([0-9a-f]{64})")


def new_key() -> tuple[str, str, bytes, bytes]:
    """Makes a key. Returns the key, which is shown once, and what the ledger stores: id, salt and hash."""
    key_id, secret, salt = secrets.token_hex(8), secrets.token_hex(32), secrets.token_bytes(16)
    return f"{PREFIX}{key_id}_{secret}", key_id, salt, _hash(salt, secret)


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode()).digest()


# Salt and hash to compare with if no key has the id, so that both cases take the same time.
_PLACEHOLDER = (bytes(16), bytes(32))


class Keyring:
    """The ledger's keys, in memory."""

    def __init__(self, read: Callable[[], Awaitable[Iterable[KeyRecord]]], defaults: Limits) -> None:
        """Starts without keys. `read` returns every key; `defaults` are the limits of keys without their own."""
        self._read, self._defaults = read, defaults
        self._records: dict[str, KeyRecord] = {}
        self._callers: dict[str, Caller] = {}

    async def reload(self) -> None:
        """Reads the keys again. The use of their rate limits is kept."""
        self._records = {record.id: record for record in await self._read()}
        # Keys never change, except that they are revoked; callers read that from the record.
        self._callers = {
            name: self._callers.get(name) or self._caller(record) for name, record in self._records.items()
        }

    async def follow(self, changed: asyncio.Event) -> None:
        """Reloads the keys whenever `changed` is set, until it is cancelled.

        While the ledger is unavailable the keys in memory stay valid: the server then answers from memory, and without
        keys it could not answer anyone.
        """
        while True:
            await changed.wait()
            changed.clear()
            try:
                await self.reload()
            except Exception as error:  # retry after every error, so that a revoked key does not stay valid
                logger.warning("cannot read the API keys: %s", error, exc_info=not isinstance(error, LedgerError))
                changed.set()
                await asyncio.sleep(_PAUSE_SECONDS)

    def find(self, key: str) -> Caller:
        """Returns the caller of a key. The key may have ended: see Caller.recheck.

        Raises:
            RequestError: UNAUTHENTICATED; the key is unknown.
        """
        parts = _KEY.fullmatch(key)
        key_id, secret = parts.groups() if parts else ("", "")
        record = self._records.get(key_id)
        salt, wanted = (record.salt, record.hash) if record else _PLACEHOLDER
        same = hmac.compare_digest(_hash(salt, secret), wanted)
        if not same or record is None:
            raise unknown("unknown API key")
        return self._callers[key_id]

    def _check(self, key_id: str) -> None:
        # Only a caller that has the secret gets here, so the reason may be given.
        record = self._records.get(key_id)
        if record is None:  # the ledger was replaced
            raise unknown("unknown API key")
        if record.revoke_time is not None:
            raise revoked(f"API key {record.name!r} was revoked")
        if record.expire_time is not None and record.expire_time <= time.time_ns() // 1_000:
            raise expired(f"API key {record.name!r} has expired")

    def _caller(self, record: KeyRecord) -> Caller:
        scope = Scope.named(record.scope)
        grants = tuple(Grant(scope, pattern) for pattern in record.collections) if scope else ()
        rate_limiter = RateLimiter(Limits(**record.limits).over(self._defaults))
        return Caller(record.name, grants, rate_limiter, partial(self._check, record.id))
