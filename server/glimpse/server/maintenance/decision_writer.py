"""Writes the numbers of decisions to the ledger in the background, so that every server reports the same."""

import asyncio
import logging
from contextlib import suppress

from glimpse.ledger import LedgerError
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.decision_counts import PendingDecisions, today

logger = logging.getLogger(__name__)
# Seconds between two writes.
_SECONDS = 3.0
# The most rows of one transaction: some milliseconds, for which an enrolment may have to wait.
_ROWS = 200
#: Days of which the counts are kept.
KEPT_DAYS = 400


class DecisionWriter:
    """Adds what was counted since the last write to the ledger. A Classify never waits for it.

    A killed server loses the counts of some seconds. If the database fails during a commit, they may count twice.
    """

    def __init__(self, catalog: Catalog, pending: PendingDecisions) -> None:
        """Starts to write `pending` to the ledger of `catalog`. Needs a running event loop."""
        self._catalog, self._pending = catalog, pending
        self._cleaned_day = 0
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Writes once more, and stops."""
        self._stopping.set()
        await self._task

    async def _run(self) -> None:
        stopping = False
        while not stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await self._stopping.wait()
            stopping = self._stopping.is_set()
            await self._write()

    async def _write(self) -> None:
        """Writes all counts. Those of a failed transaction are written with the next ones."""
        counts = self._pending.take()
        try:
            while batch := counts[:_ROWS]:
                await self._catalog.read(lambda ledger, batch=batch: ledger.add_decisions(batch))  # type: ignore[misc]
                counts = counts[_ROWS:]
            if self._cleaned_day != (day := today()):
                await self._catalog.read(lambda ledger: ledger.delete_decisions_before(day - KEPT_DAYS))
                self._cleaned_day = day
        except LedgerError as error:
            logger.warning("cannot write the numbers of decisions now: %s", error)
        except Exception:
            logger.exception("cannot write the numbers of decisions")
        finally:
            self._pending.put_back(counts)
