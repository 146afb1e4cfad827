"""The rooms of a server, opened and closed."""

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial

import faiss
from threadpoolctl import threadpool_limits

from glimpse.fewshot import PINNABLE
from glimpse.ledger import FolderLock
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.fitter import Fitter
from glimpse.server.collections.index_directory import Indexes
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.decoders import Decoders
from glimpse.server.installation import check_installation
from glimpse.server.maintenance.compaction import stop_compactions
from glimpse.server.maintenance.reembedding_worker import Reembedder
from glimpse.server.proto_enums import HEADS
from glimpse.server.runtime_parts import Runtime
from glimpse.server.scheduling.inbound import Inbound
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.scheduling.load_shedder import LoadShedder
from glimpse.server.scheduling.search_pool import SearchPool
from glimpse.server.settings import Settings
from glimpse.server.snapshots import Snapshots


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Loads backbones and ledger; closes what was opened, in every outcome.

    Raises SettingsError, BundleError, DataFolderInUse and LedgerError.
    """
    check_installation()
    async with AsyncExitStack() as stack:
        # Threads are budgeted once: the encoder has the cores; two pools that spin on every core slow each other down.
        faiss.omp_set_num_threads(1)
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        decoders = stack.enter_context(Decoders(settings))
        # OpenMP keeps its thread count for each thread that asks: this one has to be told too.
        search_pool = stack.enter_context(SearchPool(settings, partial(faiss.omp_set_num_threads, 1)))
        backbones = Backbones.load(settings, decoders)
        for backbone in backbones:
            stack.push_async_callback(backbone.close)
        fitter = Fitter({HEADS[kind]: kind for kind in PINNABLE})
        stack.push_async_callback(fitter.close)
        indexes = Indexes(settings.indexes or settings.data / "indexes")
        stack.enter_context(FolderLock(settings.data))
        snapshots = Snapshots(
            settings.data / "snapshots", seconds=settings.snapshot_seconds, examples=settings.snapshot_examples
        )
        with _nothing_collected():
            catalog = Catalog.open(settings.ledger_url, indexes, snapshots, fitter.touch)
        stack.push_async_callback(catalog.close)
        stack.push_async_callback(snapshots.close)
        inflight, load_shedder, inbound = (
            InflightLimiter(settings.max_held_bytes),
            LoadShedder(settings.queue_seconds),
            Inbound(settings),
        )
        runtime = Runtime(
            settings, backbones, catalog, fitter, search_pool, indexes, inflight, load_shedder, inbound, snapshots
        )
        stack.push_async_callback(stop_compactions, runtime)
        stack.push_async_callback(Reembedder(runtime).close)
        yield runtime


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """The collector of garbage would look through a million examples again and again while they come."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor need it ever look at them later
        gc.enable()
