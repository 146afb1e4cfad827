"""Hearing of changes that other servers made, as soon as they are committed."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

from glimpse.ledger.database.database import CONNECT
from glimpse.ledger.database.transactions import CHANNEL
from glimpse.ledger.database.url import parse_url

logger = logging.getLogger(__name__)
# Between two attempts to reach a database that is gone, and between two lines of the log about that.
_PAUSE_SECONDS, _WARNING_SECONDS = 1.0, 60.0


async def listen(url: str) -> AsyncIterator[int | None]:
    """Yields the revision of changes as PostgreSQL tells of them; None: there may have been some. Never ends.

    What it yields is a hint: whoever may connect to the database may notify.
    """
    import psycopg

    parsed = parse_url(url)
    target = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    told_at = -_WARNING_SECONDS
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(target, autocommit=True, **CONNECT) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                yield None  # whatever came before
                async for told in connection.notifies():
                    yield _revision(told.payload)
        except Exception as error:  # of whatever kind: without this the ledger is still asked from time to time
            if time.monotonic() - told_at >= _WARNING_SECONDS:
                told_at = time.monotonic()
                why = str(error).strip().partition("\n")[0] or type(error).__name__
                logger.warning("what others write is heard of a little later: %s", why)
        await asyncio.sleep(_PAUSE_SECONDS)


def _revision(payload: str) -> int | None:
    try:
        return int(payload)
    except ValueError:  # which no server of ours says
        return None
