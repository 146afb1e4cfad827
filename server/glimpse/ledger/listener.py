"""Hearing of changes that other servers made, as soon as they are committed."""

import asyncio
from collections.abc import AsyncIterator

from glimpse.ledger.address import parse_url
from glimpse.ledger.database import CONNECT
from glimpse.ledger.writing import CHANNEL

# Between two attempts to reach a database that is gone.
_PAUSE_SECONDS = 1.0


async def listen(url: str) -> AsyncIterator[int | None]:
    """Yields the revision of changes as PostgreSQL tells of them; None: there may have been some. Never ends."""
    import psycopg

    parsed = parse_url(url)
    target = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(target, autocommit=True, **CONNECT) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                yield None  # whatever came before
                async for told in connection.notifies():
                    yield int(told.payload)
        except psycopg.OperationalError:
            await asyncio.sleep(_PAUSE_SECONDS)
