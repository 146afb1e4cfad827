"""The keys that a server knows while the ledger is available, unavailable, or replaced."""

import asyncio
from dataclasses import replace

import pytest

from glimpse.ledger import KeyRecord, LedgerError
from glimpse.server.auth.api_keys import Keyring, new_key
from glimpse.server.auth.rate_limits import Limits
from glimpse.server.errors import RequestError


class Ledger:
    """A ledger with one key, which the test may change, or one that is unavailable."""

    def __init__(self) -> None:
        self.key, key_id, salt, hashed = new_key()
        self.record = KeyRecord(key_id, "ann", salt, hashed, "read", ["*"])
        self.records, self.gone = [self.record], False
        self.read_in_vain, self.was_read = asyncio.Event(), asyncio.Event()

    async def keys(self) -> list[KeyRecord]:
        (self.read_in_vain if self.gone else self.was_read).set()
        if self.gone:
            raise LedgerError("gone")
        return self.records


async def test_a_key_stays_valid_without_the_ledger_but_still_expires() -> None:
    ledger = Ledger()
    keyring = Keyring(ledger.keys, Limits())
    await keyring.reload()
    caller, changed = keyring.find(ledger.key), asyncio.Event()
    follower = asyncio.create_task(keyring.follow(changed))
    try:
        ledger.gone, ledger.records = True, [replace(ledger.record, revoke_time=1)]
        changed.set()
        await asyncio.wait_for(ledger.read_in_vain.wait(), 30)
        caller.recheck()
        ledger.was_read.clear()
        ledger.gone = False
        await asyncio.wait_for(ledger.was_read.wait(), 30)  # again by itself
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match="CREDENTIALS_REVOKED"):
            caller.recheck()
    finally:
        follower.cancel()
    ending = Ledger()
    ending.records = [replace(ending.record, expire_time=1)]
    keyring = Keyring(ending.keys, Limits())
    await keyring.reload()
    ending.gone = True
    with pytest.raises(RequestError, match="CREDENTIALS_EXPIRED"):
        keyring.find(ending.key).recheck()


async def test_a_key_that_the_ledger_does_not_have_any_more_is_unknown_in_open_streams_too() -> None:
    ledger = Ledger()
    keyring = Keyring(ledger.keys, Limits())
    await keyring.reload()
    caller = keyring.find(ledger.key)
    ledger.records = []
    await keyring.reload()
    with pytest.raises(RequestError, match="CREDENTIALS_INVALID"):
        caller.recheck()
    with pytest.raises(RequestError, match="CREDENTIALS_INVALID"):
        keyring.find(ledger.key)
