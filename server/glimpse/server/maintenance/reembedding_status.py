"""The progress of a re-embedding, and the reports on both of its backbones."""

import asyncio
from functools import partial

from glimpse.ledger import CollectionRecord, NotFound, ReembeddingCounts, ReembeddingReader, ReembeddingRecord
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.classification.label_names import prompt_names
from glimpse.server.classification.messages import decision_settings
from glimpse.server.classification.report import build_report
from glimpse.server.collections.collection import CollectionView, ReembeddingReport
from glimpse.server.collections.fitter import Fitter
from glimpse.server.collections.messages import timestamp
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.maintenance.reembedding import (
    backbone_of,
    collection_reloaded,
    read_reembedding,
    record_after_switch,
)
from glimpse.server.resource_names import collection_name, example_name
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import collection_service_pb2 as pb

_MAX_FAILURES = 1_000
# Seconds that the other backbone's view stays in memory after a call ran out of time, for its retry.
_KEEP_SECONDS = 300.0


class ReembeddingStatus:
    """Reports the progress of a re-embedding, and measures both of its backbones."""

    def __init__(self, catalog: Catalog, backbones: Backbones, fitter: Fitter) -> None:
        """Reads from `catalog`; `fitter` fits a view before it is measured."""
        self._catalog, self._backbones, self._fitter = catalog, backbones, fitter
        self._one_at_a_time = asyncio.Lock()

    async def message(
        self, view: CollectionView, reembedding: ReembeddingRecord, *, failures: int = _MAX_FAILURES
    ) -> pb.Reembedding:
        """Returns the progress, read from the ledger in one transaction.

        Args:
            view: The collection.
            reembedding: Its re-embedding.
            failures: The most failures to return.

        Raises:
            RequestError: UNAVAILABLE if the collection was switched, or the re-embedding ended.
            LedgerError: The ledger cannot be read.
        """
        name = view.record.id

        def read(reader: ReembeddingReader) -> tuple[ReembeddingCounts, list[tuple[str, str, str]]]:
            return reader.counts(), reader.failures(failures)

        with_prompts = sum(bool(label.prompts) for label in view.labels.values())
        counts, failed = await read_reembedding(self._catalog, view, reembedding.switches, read)
        return pb.Reembedding(
            collection=collection_name(name),
            current=self._side(view.record),
            shadow=self._side(record_after_switch(view.record, reembedding)),
            switched=bool(reembedding.switches % 2),
            example_count=counts.examples,
            embedded_count=counts.embedded,
            left_count=counts.left,
            failed_count=counts.failed,
            failures=[
                pb.ReembeddingFailure(example=example_name(name, example), label_id=label, problem=problem)
                for example, label, problem in failed
            ],
            labels_left_count=max(0, with_prompts - counts.prompts - counts.prompts_failed),
            labels_failed_count=counts.prompts_failed,
            set_aside_count=counts.hidden,
            start_time=timestamp(reembedding.time),
        )

    async def measure(
        self, view: CollectionView, reembedding: ReembeddingRecord, message: pb.Reembedding, deadline: float
    ) -> None:
        """Adds the reports on both backbones to the message of a re-embedding.

        Args:
            view: The collection.
            reembedding: Its re-embedding.
            message: The result of `message`.
            deadline: In time.monotonic() seconds.

        Raises:
            RequestError: UNAVAILABLE if the reports are not ready in time; a retry continues.
        """
        async with self._one_at_a_time:  # a measurement takes the collection's memory a second time
            message.current.figures.CopyFrom(await self._report(view, deadline))
            message.shadow.figures.CopyFrom(await self._other_report(view, reembedding, deadline))

    async def _report(self, view: CollectionView, deadline: float) -> pb.GetCollectionReportResponse:
        source = source_of_collection(view.record, self._backbones)
        await prompt_names(source, view, deadline)
        await self._fitter.wait_until_fitted(view, deadline)
        return build_report(view, decision_settings(view, source).policy)

    async def _other_report(
        self, view: CollectionView, reembedding: ReembeddingRecord, deadline: float
    ) -> pb.GetCollectionReportResponse:
        """Measures a view by the other backbone, which no call sees. The view is kept until it is measured."""
        measured = view.reembedding_report
        if measured is None or measured.revision != view.record.revision:
            view.reembedding_report = None  # free the earlier view before loading the next one
            measured = await self._load(view, reembedding)
            if view.reembedding is reembedding:
                view.reembedding_report = measured
        if measured.view:
            try:
                measured.report = await self._report(measured.view, deadline)
            except RequestError:
                asyncio.get_running_loop().call_later(_KEEP_SECONDS, partial(_discard, view, measured))
                raise
            measured.view = None
        return measured.report or pb.GetCollectionReportResponse()

    async def _load(self, view: CollectionView, reembedding: ReembeddingRecord) -> ReembeddingReport:
        record, loader = record_after_switch(view.record, reembedding), self._catalog.loader
        try:
            other = await run_in_background(lambda: loader.load_reembedded(record, reembedding.switches))
        except NotFound as error:
            raise collection_reloaded(view) from error
        return ReembeddingReport(record.revision, other)

    def _side(self, record: CollectionRecord) -> pb.ReembeddingSide:
        return pb.ReembeddingSide(
            backbone=record.backbone,
            embedding_space=record.embedding_space,
            loaded=backbone_of(record.embedding_space, self._backbones) is not None,
        )


def _discard(view: CollectionView, measured: ReembeddingReport) -> None:
    """Frees a view that no call has asked for again."""
    if view.reembedding_report is measured and measured.view:
        view.reembedding_report = None
