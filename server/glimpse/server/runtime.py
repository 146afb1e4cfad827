"""Builds, owns and closes the parts of a server."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import faiss
from threadpoolctl import threadpool_limits

from glimpse.fewshot import PINNABLE
from glimpse.index import Device, first_gpu
from glimpse.ledger import FolderLock
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.classification.classifier import Classifier
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.drift import QueryStats
from glimpse.server.collections.fitter import Fitter
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.collections.training_examples import TrainingExamples
from glimpse.server.enrollment.enroll import Enroller
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.decoders import Decoders
from glimpse.server.installation import check_index_device, check_installation
from glimpse.server.maintenance.backbone_switch import BackboneSwitch
from glimpse.server.maintenance.compaction import Compactor
from glimpse.server.maintenance.decision_writer import DecisionWriter
from glimpse.server.maintenance.reembedding_status import ReembeddingStatus
from glimpse.server.maintenance.reembedding_worker import Reembedder
from glimpse.server.proto_enums import HEADS
from glimpse.server.review.keeping.keeper import Keeper
from glimpse.server.review.keeping.recorder import Recorder
from glimpse.server.review.keeping.sampling import Sampling
from glimpse.server.review.keeping.worker import ReviewWorker
from glimpse.server.review.reembedding import ItemReembedder
from glimpse.server.scheduling.inbound import Inbound
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.scheduling.load_shedder import LoadShedder
from glimpse.server.scheduling.thread_pool import SearchPool
from glimpse.server.settings import Settings
from glimpse.server.snapshots import Snapshots
from glimpse.server.telemetry.latency_stats import CallFigures


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of a server. Only services get all of them; every other part gets what it needs."""

    settings: Settings
    decoders: Decoders
    backbones: Backbones
    catalog: Catalog
    fitter: Fitter
    search_pool: SearchPool
    index_directory: IndexDirectory
    inflight: InflightLimiter
    load_shedder: LoadShedder
    inbound: Inbound
    snapshots: Snapshots
    neighbors: NeighborSearch
    classifier: Classifier
    enroller: Enroller
    compactor: Compactor
    reembedding_status: ReembeddingStatus
    backbone_switch: BackboneSwitch
    query_stats: QueryStats
    review: ReviewWorker
    calls: CallFigures = field(default_factory=CallFigures)


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Loads the backbones and the ledger, and yields the parts. Closes everything at the end, also after an error.

    Raises:
        SettingsError: A setting is wrong.
        BundleError: A backbone cannot be loaded.
        DataFolderInUse: Another server uses the data folder.
        LedgerError: The ledger cannot be opened.
    """
    check_installation()
    async with AsyncExitStack() as stack:
        # The encoder uses all cores. A second pool of threads that spin on every core would slow both down.
        faiss.omp_set_num_threads(1)
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        decoders = stack.enter_context(Decoders(settings))
        check_index_device(settings)
        gpu = settings.index_device != "cpu"
        device = first_gpu(settings.index_device_min_bytes) if gpu else None
        # OpenMP keeps a thread count per calling thread, so each search thread sets its own.
        search_pool = stack.enter_context(
            SearchPool(settings, partial(faiss.omp_set_num_threads, 1), combined=device is not None)
        )
        backbones = Backbones.load(settings, decoders)
        for backbone in backbones:
            stack.push_async_callback(backbone.close)
        adapted = {one.manifest.embedding_space: one.adapted for one in backbones if one.adapted}
        # The catalog schedules fits, and fits read its ledger, from the event loop and so after it is open.
        training = TrainingExamples(adapted, lambda query: catalog.read(query))
        fitter = Fitter({HEADS[kind]: kind for kind in PINNABLE}, training)
        stack.push_async_callback(fitter.close)
        index_directory = IndexDirectory(settings.indexes or settings.data / "indexes", gpu=gpu)
        stack.enter_context(FolderLock(settings.data))
        snapshots = Snapshots(
            settings.data / "snapshots", seconds=settings.snapshot_seconds, examples=settings.snapshot_examples
        )
        with _garbage_collection_paused():
            changed = _searched_on(device, fitter.schedule) if device else fitter.schedule
            catalog = Catalog.open(settings.ledger_url, index_directory, snapshots, changed)
        stack.push_async_callback(catalog.close)
        stack.push_async_callback(snapshots.close)
        neighbors, query_stats = NeighborSearch(search_pool), QueryStats()
        compactor = Compactor(catalog, index_directory)
        stack.push_async_callback(compactor.close)
        stack.push_async_callback(Reembedder(catalog, backbones).close)
        inflight, sampling = InflightLimiter(settings.max_held_bytes), Sampling()
        recorder, keeper = Recorder(inflight, sampling), Keeper(settings.max_review_bytes)
        review = ReviewWorker(catalog, recorder, sampling, keeper, ItemReembedder(catalog, backbones))
        stack.push_async_callback(review.close)
        stack.push_async_callback(DecisionWriter(catalog, query_stats.pending).close)
        yield Runtime(
            settings,
            decoders,
            backbones,
            catalog,
            fitter,
            search_pool,
            index_directory,
            inflight,
            LoadShedder(settings.queue_seconds),
            Inbound(settings),
            snapshots,
            neighbors,
            Classifier(backbones, neighbors, query_stats, recorder),
            Enroller(catalog, backbones, neighbors, fitter, settings),
            compactor,
            ReembeddingStatus(catalog, backbones, fitter),
            BackboneSwitch(catalog, backbones),
            query_stats,
            review,
        )


def _searched_on(device: Device, changed: Callable[[CollectionView], None]) -> Callable[[CollectionView], None]:
    """Returns `changed` with another step before it: each collection is searched on the device from its first change.

    Loading counts as a change, so this reaches every collection, wherever its view is built.
    """

    def search_on_device(view: CollectionView) -> None:
        view.search_on(device)
        changed(view)

    return search_on_device


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pauses the garbage collector, which would scan a million examples again and again while they load."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # never scan them later either
        gc.enable()
