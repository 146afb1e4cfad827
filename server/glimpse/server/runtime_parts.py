"""What the services share: settings, backbones, the catalog."""

import asyncio
from asyncio import Task
from dataclasses import dataclass, field

from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.drift import QueryStats
from glimpse.server.collections.fitter import Fitter
from glimpse.server.collections.index_directory import Indexes
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.embedding_spaces import Source, source_of_collection
from glimpse.server.scheduling.inbound import Inbound
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.scheduling.load_shedder import LoadShedder
from glimpse.server.scheduling.search_pool import SearchPool
from glimpse.server.settings import Settings
from glimpse.server.snapshots import Snapshots
from glimpse.server.telemetry.latency_stats import CallFigures


@dataclass(frozen=True, slots=True)
class Runtime:
    """The server's parts, handed to every service."""

    settings: Settings
    backbones: Backbones
    catalog: Catalog
    fitter: Fitter
    search_pool: SearchPool
    indexes: Indexes
    inflight: InflightLimiter
    load_shedder: LoadShedder
    inbound: Inbound
    snapshots: Snapshots
    #: Held by whoever compacts.
    compacting: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Those that run, by what they are of; each gives the revision that it made.
    compactions: dict[CollectionView, Task[int]] = field(default_factory=dict)
    #: Held by whoever loads and fits a shadow.
    measuring: asyncio.Lock = field(default_factory=asyncio.Lock)
    calls: CallFigures = field(default_factory=CallFigures)
    answered: QueryStats = field(default_factory=QueryStats)

    def source_of(self, view: CollectionView) -> Source:
        """Where a collection's vectors come from."""
        return source_of_collection(view.record, self.backbones)
