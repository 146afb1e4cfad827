"""Notifications of changes that other servers have committed (PostgreSQL LISTEN)."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

from glimpse.ledger.database.database import CONNECT
from glimpse.ledger.database.transactions import CHANNEL
from glimpse.ledger.database.url import parse_url

logger = logging.getLogger(__name__)
# Seconds between attempts to reconnect, and between log lines about failures.
_PAUSE_SECONDS, _WARNING_SECONDS = 1.0, 60.0


async def listen(url: str) -> AsyncIterator[int | None]:
    """Yields the revision of each change that PostgreSQL notifies of; None if changes may have been missed. Never ends.

    A revision is only a hint: every client of the database can send notifications.
    """
    import psycopg

    parsed = parse_url(url)
    target = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    warned_at = -_WARNING_SECONDS
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(target, autocommit=True, **CONNECT) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                yield None  # changes before this point may have been missed
                async for notification in connection.notifies():
                    yield _revision(notification.payload)
        except Exception as error:  # any kind: without notifications the ledger is still polled
            if time.monotonic() - warned_at >= _WARNING_SECONDS:
                warned_at = time.monotonic()
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                logger.warning(
                    "no notifications from PostgreSQL; changes of other servers arrive later, by polling: %s", reason
                )
        await asyncio.sleep(_PAUSE_SECONDS)


def _revision(payload: str) -> int | None:
    try:
        return int(payload)
    except ValueError:  # not sent by a server of this ledger
        return None
