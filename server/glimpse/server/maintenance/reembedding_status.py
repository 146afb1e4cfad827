"""A re-embedding as the contract says it, and the figures of its two sides."""

import asyncio
from functools import partial

from glimpse.ledger import CollectionRecord, NotFound, ReembeddingCounts, ReembeddingReader, ReembeddingRecord
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.classification.label_names import prompt_names
from glimpse.server.classification.messages import terms_of
from glimpse.server.classification.report import check
from glimpse.server.collections.collection import CollectionView, ReembeddingReport
from glimpse.server.collections.fitter import Fitter
from glimpse.server.collections.messages import timestamp
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.maintenance.reembedding import backbone_of, other_side, read_shadow, reloaded
from glimpse.server.resource_names import collection_name, example_name
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import collection_service_pb2 as pb

_TOLD = 1_000
# How long a shadow stays in memory for whoever did not wait for its figures.
_PATIENCE_SECONDS = 300.0


class ReembeddingStatus:
    """Reports how far a re-embedding is, and measures both of its sides."""

    def __init__(self, catalog: Catalog, backbones: Backbones, fitter: Fitter) -> None:
        """Reads from `catalog`; `fitter` fits a side before it is measured."""
        self._catalog, self._backbones, self._fitter = catalog, backbones, fitter
        self._one_at_a_time = asyncio.Lock()

    async def message(self, view: CollectionView, shadow: ReembeddingRecord) -> pb.Reembedding:
        """How far it is, all of one moment."""
        name = view.record.id

        def read(there: ReembeddingReader) -> tuple[ReembeddingCounts, list[tuple[str, str, str]]]:
            return there.counts(), there.failures(_TOLD)

        prompted = sum(bool(label.prompts) for label in view.labels.values())
        progress, failures = await read_shadow(self._catalog, view, shadow.switches, read)
        return pb.Reembedding(
            collection=collection_name(name),
            current=self._side(view.record),
            shadow=self._side(other_side(view.record, shadow)),
            switched=bool(shadow.switches % 2),
            example_count=progress.examples,
            embedded_count=progress.embedded,
            left_count=progress.left,
            failed_count=progress.failed,
            failures=[
                pb.ReembeddingFailure(example=example_name(name, example), label_id=label, problem=problem)
                for example, label, problem in failures
            ],
            labels_left_count=max(0, prompted - progress.prompts - progress.prompts_failed),
            labels_failed_count=progress.prompts_failed,
            set_aside_count=progress.hidden,
            start_time=timestamp(shadow.time),
        )

    async def measure(
        self, view: CollectionView, shadow: ReembeddingRecord, told: pb.Reembedding, deadline: float
    ) -> None:
        """Adds both sides' figures. Raises RequestError UNAVAILABLE where they are not there in time."""
        async with self._one_at_a_time:  # one at a time: each takes the collection's memory once more
            told.current.figures.CopyFrom(await self._figures(view, deadline))
            told.shadow.figures.CopyFrom(await self._shadow_figures(view, shadow, deadline))

    async def _figures(self, view: CollectionView, deadline: float) -> pb.GetCollectionReportResponse:
        source = source_of_collection(view.record, self._backbones)
        await prompt_names(source, view, deadline)
        await self._fitter.settled(view, deadline)
        return check(view, terms_of(view.record, source).policy)

    async def _shadow_figures(
        self, view: CollectionView, shadow: ReembeddingRecord, deadline: float
    ) -> pb.GetCollectionReportResponse:
        """Measures a view that no call sees. It is kept until it is measured: a caller that timed out asks again."""
        measured = view.measured
        if measured is None or measured.revision != view.record.revision:
            view.measured = None  # both at once would be the memory twice
            measured = await self._loaded(view, shadow)
            if view.shadow is shadow:
                view.measured = measured
        if measured.hidden:
            try:
                measured.figures = await self._figures(measured.hidden, deadline)
            except RequestError:
                asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, partial(_let_go, view, measured))
                raise
            measured.hidden = None
        return measured.figures or pb.GetCollectionReportResponse()

    async def _loaded(self, view: CollectionView, shadow: ReembeddingRecord) -> ReembeddingReport:
        record = other_side(view.record, shadow)
        try:
            return ReembeddingReport(
                record.revision,
                await run_in_background(lambda: self._catalog.loader.load_shadow(record, shadow.switches)),
            )
        except NotFound as error:
            raise reloaded(view) from error

    def _side(self, record: CollectionRecord) -> pb.ReembeddingSide:
        return pb.ReembeddingSide(
            backbone=record.backbone,
            embedding_space=record.embedding_space,
            loaded=backbone_of(record.embedding_space, self._backbones) is not None,
        )


def _let_go(view: CollectionView, measured: ReembeddingReport) -> None:
    """What nobody has asked for again."""
    if view.measured is measured and measured.hidden:
        view.measured = None
