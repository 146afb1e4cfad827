"""The work behind the review queue: batches, expiry, and embedding items again after a switch of the backbone."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from glimpse.backbone import InputError
from glimpse.ledger import Ledger, LedgerError, ReviewBatch, ReviewDeleted
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.errors import RequestError
from glimpse.server.inference.decoders import Decoders
from glimpse.server.review.keeping.keeper import Keeper, Usage
from glimpse.server.review.keeping.kept_query import KeptQuery
from glimpse.server.review.keeping.recorder import Recorder
from glimpse.server.review.keeping.sampling import Sampling
from glimpse.server.review.reembedding import ItemReembedder
from glimpse.server.telemetry import metrics

logger = logging.getLogger(__name__)
# Seconds between two batches, and the bytes of a batch. A batch has 1 MiB with what the queries need beside them.
_TURN_SECONDS, _TURN_BYTES = 1.0, (1 << 20) - (64 << 10)
_EXPIRY_SECONDS, _REEMBED_SECONDS = 300.0, 2.0
# Images that are cropped before a batch.
_CROPS = 16
# Batches that a server writes when it stops.
_LAST_TURNS = 8


class ReviewWorker:
    """Runs until `close`. Use it in the event loop's thread only."""

    def __init__(
        self,
        catalog: Catalog,
        recorder: Recorder,
        sampling: Sampling,
        keeper: Keeper,
        reembedder: ItemReembedder,
        decoders: Decoders,
    ) -> None:
        """Starts the tasks.

        Args:
            catalog: Reaches the ledger.
            recorder: Has the queries.
            sampling: Learns which keys have room.
            keeper: Decides and writes, one call at a time.
            reembedder: Embeds items again.
            decoders: Crop images to the regions that were asked about.
        """
        self._catalog, self._recorder, self._sampling, self._keeper = catalog, recorder, sampling, keeper
        self._reembedder, self._decoders = reembedder, decoders
        # Lists of batches that wait for their turn, each with the queries that end with it.
        self._lists: deque[tuple[list[ReviewBatch], list[KeptQuery]]] = deque()
        self._turns = asyncio.Lock()
        self._tasks = [
            asyncio.create_task(_repeat(_TURN_SECONDS, self.turn, "keep queries for review")),
            asyncio.create_task(_repeat(_EXPIRY_SECONDS, self.expire, "delete expired review items")),
            asyncio.create_task(_repeat(_REEMBED_SECONDS, self._embed_again, "embed review items again")),
        ]

    async def close(self) -> None:
        """Stops, and writes what waits, as far as a few batches hold it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            for _ in range(_LAST_TURNS):
                await self.turn()
        except LedgerError as error:
            logger.warning("queries that wait for review are lost: %s", error)

    async def turn(self) -> None:
        """Writes one batch, unless a write waits. Raises LedgerError."""
        async with self._turns:
            self._recorder.busy = self._catalog.writing
            if self._recorder.busy or not (self._lists or self._recorder):
                return
            await self._crop()
            if not self._lists:
                await self._decide(*self._recorder.take(_TURN_BYTES))
            await self._write()

    async def purge(self, collection_id: str) -> ReviewDeleted:
        """Deletes everything that is kept of a collection's queries, also what is not written yet.

        Raises LedgerError.
        """
        async with self._turns:
            _release(self._recorder.remove(collection_id))
            # The parts of one input, which may be of another collection.
            if any(batch.collection_id == collection_id for batches, _ in self._lists for batch in batches):
                _release([query for _, queries in self._lists for query in queries])
                self._lists.clear()

            def purge(ledger: Ledger) -> ReviewDeleted:
                deleted = ledger.review.purge(collection_id)
                self._keeper.forget(collection_id)
                self._keeper.read_usage(ledger)
                return deleted

            deleted = await self._catalog.read(purge)
            self._sampling.forget(collection_id)
            return deleted

    @property
    def usage(self) -> Usage:
        """The items and bytes of kept queries, as of the last look at the ledger."""
        return self._keeper.usage

    async def _crop(self) -> None:
        """Crops images that have a region, a few in each turn."""
        for _ in range(_CROPS):
            query = self._recorder.take_uncropped()
            if query is None or query.region is None:
                return
            try:
                content = await self._decoders.crop(query.content, query.region)
            except InputError:  # the query was answered, so that only the memory for the crop can be too much
                content = b""
            except BaseException:
                _release([query], lost=True)
                raise
            self._recorder.put_cropped(query, content)

    async def _decide(self, queries: list[KeptQuery], sampled: list[KeptQuery]) -> None:
        try:
            lists = await self._catalog.read(lambda ledger: self._keeper.decide(ledger, queries, sampled))
        except BaseException:
            _release(queries, lost=True)
            raise
        self._lists.extend((batches, []) for batches in lists)
        self._lists[-1][1].extend(queries)

    async def _write(self) -> None:
        batches, queries = self._lists.popleft()
        try:
            written = await self._catalog.read(lambda ledger: self._keeper.write(ledger, batches))
        except BaseException:
            # The later parts of an input are of no use without this one.
            _release([*queries, *(query for _, later in self._lists for query in later)], lost=True)
            self._lists.clear()
            raise
        # An item that a query is like was resolved, or has expired: the query is decided on again.
        again = [query for query in queries if query.item_id in written.gone]
        _release([query for query in queries if query.item_id not in written.gone])
        self._recorder.put_back(again)
        for collection, keys in written.sample_keys.items():
            self._sampling.set_keys(collection, keys)

    async def expire(self, now: int | None = None) -> ReviewDeleted | None:
        """Deletes what is due, unless another server does. Raises LedgerError.

        Args:
            now: Microseconds since the epoch; None is the present time.
        """
        lock = await self._catalog.read(lambda ledger: ledger.try_lock("review expiry"))
        if lock is None:
            return None
        try:
            await self._catalog.read(lambda ledger: ledger.review.delete_lost_parts())
            due = time.time_ns() // 1_000 if now is None else now
            deleted = await self._catalog.read(partial(_delete_expired, due))
        finally:
            await self._catalog.read(lambda _: lock.release())
        await self._catalog.read(self._keeper.read_usage)
        return deleted

    async def _embed_again(self) -> None:
        await self._catalog.read(self._keeper.refresh_usage)
        for collection_id in sorted(self._keeper.usage.collections):
            if await self._reembedder.advance(collection_id):
                await self._catalog.read(lambda _, name=collection_id: self._keeper.forget(name))  # type: ignore[misc]


def _delete_expired(now: int, ledger: Ledger) -> ReviewDeleted:
    return ledger.review.delete_expired(now)


def _release(queries: list[KeptQuery], *, lost: bool = False) -> None:
    for query in queries:
        query.done()
    if lost:
        metrics.review_dropped.labels("ledger").inc(len(queries))


async def _repeat(seconds: float, work: Callable[[], Awaitable[object]], what: str) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except (LedgerError, RequestError) as error:
            logger.warning("cannot %s: %s", what, error)
        except Exception:
            logger.exception("cannot %s", what)
