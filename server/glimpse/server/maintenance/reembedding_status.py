"""A migration as the contract says it, and the figures of its two sides."""

import asyncio
from functools import partial

from glimpse.ledger import CollectionRecord, NotFound, Progress, Shadow, ShadowRecord
from glimpse.server.classification.label_names import prompt_names
from glimpse.server.classification.messages import terms_of
from glimpse.server.classification.report import check
from glimpse.server.collections.collection import CollectionView, ReembeddingReport
from glimpse.server.collections.messages import timestamp
from glimpse.server.errors import RequestError
from glimpse.server.maintenance.reembedding import backbone_of, other_side, read_shadow, reloaded
from glimpse.server.resource_names import collection_name, example_name
from glimpse.server.runtime_parts import Runtime
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import collection_service_pb2 as pb

_TOLD = 1_000
# How long a shadow stays in memory for whoever did not wait for its figures.
_PATIENCE_SECONDS = 300.0


async def migration_message(runtime: Runtime, view: CollectionView, shadow: ShadowRecord) -> pb.Migration:
    """How far it is, all of one moment."""
    name = view.record.id

    def read(there: Shadow) -> tuple[Progress, list[tuple[str, str, str]]]:
        return there.progress(), there.failures(_TOLD)

    prompted = sum(bool(label.prompts) for label in view.labels.values())
    progress, failures = await read_shadow(runtime.catalog, view, shadow.turn, read)
    return pb.Migration(
        collection=collection_name(name),
        current=_side(runtime, view.record),
        shadow=_side(runtime, other_side(view.record, shadow)),
        switched=bool(shadow.turn % 2),
        example_count=progress.examples,
        embedded_count=progress.embedded,
        left_count=progress.left,
        failed_count=progress.failed,
        failures=[
            pb.MigrationFailure(example=example_name(name, example), label_id=label, problem=problem)
            for example, label, problem in failures
        ],
        labels_left_count=max(0, prompted - progress.prompts - progress.prompts_failed),
        labels_failed_count=progress.prompts_failed,
        set_aside_count=progress.hidden,
        start_time=timestamp(shadow.time),
    )


async def measure(
    runtime: Runtime, view: CollectionView, shadow: ShadowRecord, told: pb.Migration, deadline: float
) -> None:
    """Adds both sides' figures. Raises RequestError UNAVAILABLE where they are not there in time."""
    async with runtime.measuring:  # one at a time: each takes the collection's memory once more
        told.current.figures.CopyFrom(await _figures(runtime, view, deadline))
        told.shadow.figures.CopyFrom(await _shadow_figures(runtime, view, shadow, deadline))


async def _figures(runtime: Runtime, view: CollectionView, deadline: float) -> pb.CheckCollectionResponse:
    await prompt_names(runtime, view, deadline)
    await runtime.fitter.settled(view, deadline)
    return check(view, terms_of(view.record, runtime.source_of(view)).policy)


async def _shadow_figures(
    runtime: Runtime, view: CollectionView, shadow: ShadowRecord, deadline: float
) -> pb.CheckCollectionResponse:
    """By a view that nobody sees. It stays until the figures are made: whoever did not wait long enough asks again."""
    measured = view.measured
    if measured is None or measured.revision != view.record.revision:
        view.measured = None  # both at once would be the memory twice
        measured = await _loaded(runtime, view, shadow)
        if view.shadow is shadow:
            view.measured = measured
    if measured.hidden:
        try:
            measured.figures = await _figures(runtime, measured.hidden, deadline)
        except RequestError:
            asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, partial(_let_go, view, measured))
            raise
        measured.hidden = None
    return measured.figures or pb.CheckCollectionResponse()


async def _loaded(runtime: Runtime, view: CollectionView, shadow: ShadowRecord) -> ReembeddingReport:
    record = other_side(view.record, shadow)
    try:
        return ReembeddingReport(
            record.revision, await run_in_background(lambda: runtime.catalog.loader.load_shadow(record, shadow.turn))
        )
    except NotFound as error:
        raise reloaded(view) from error


def _let_go(view: CollectionView, measured: ReembeddingReport) -> None:
    """What nobody has asked for again."""
    if view.measured is measured and measured.hidden:
        view.measured = None


def _side(runtime: Runtime, record: CollectionRecord) -> pb.MigrationSide:
    return pb.MigrationSide(
        backbone=record.backbone,
        embedding_space=record.embedding_space,
        loaded=backbone_of(record.embedding_space, runtime.backbones) is not None,
    )
