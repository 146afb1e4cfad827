"""A migration as the contract says it, and the figures of its two sides."""

from glimpse.ledger import CollectionRecord, Ledger, Progress, ShadowRecord
from glimpse.server.answer import terms_of
from glimpse.server.aside import aside
from glimpse.server.checking import check
from glimpse.server.context import Rooms
from glimpse.server.messages import timestamp
from glimpse.server.names import collection_name, example_name
from glimpse.server.naming import prompt_names
from glimpse.server.shadowing import backbone_of, other_side
from glimpse.server.view import CollectionView
from glimpse.v1 import collection_service_pb2 as pb

_TOLD = 1_000


async def migration_message(rooms: Rooms, view: CollectionView, shadow: ShadowRecord) -> pb.Migration:
    """How far it is, all of one moment."""
    name = view.record.id

    def read(ledger: Ledger) -> tuple[Progress, list[tuple[str, str, str]]]:
        with ledger.shadow(name, shadow.turn) as reading:
            return reading.progress(), reading.failures(_TOLD)

    prompted = sum(bool(label.prompts) for label in view.labels.values())
    progress, failures = await rooms.catalog.read(read)
    return pb.Migration(
        collection=collection_name(name),
        current=_side(rooms, view.record),
        shadow=_side(rooms, other_side(view.record, shadow)),
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
    rooms: Rooms, view: CollectionView, shadow: ShadowRecord, told: pb.Migration, deadline: float
) -> None:
    """Adds both sides' figures. Raises RequestError UNAVAILABLE where they are not there in time."""
    async with rooms.measuring:  # one at a time: each takes the collection's memory once more
        hidden = await _shadow_view(rooms, view, shadow)
        for side, one in ((told.current, view), (told.shadow, hidden)):
            await prompt_names(rooms, one, deadline)
            await rooms.fitter.settled(one, deadline)
            side.figures.CopyFrom(check(one, terms_of(one.record, rooms.source_of(one)).policy))


async def _shadow_view(rooms: Rooms, view: CollectionView, shadow: ShadowRecord) -> CollectionView:
    """The shadow as a view that nobody sees. It stays: whoever did not wait long enough asks again."""
    revision = view.record.revision
    if view.measured is None or view.measured[0] != revision:
        view.measured = None
        record = other_side(view.record, shadow)
        hidden = await aside(lambda: rooms.catalog.loader.load_shadow(record, shadow.turn))
        view.measured = (revision, hidden)
    return view.measured[1]


def _side(rooms: Rooms, record: CollectionRecord) -> pb.MigrationSide:
    return pb.MigrationSide(
        backbone=record.backbone,
        embedding_space=record.embedding_space,
        loaded=backbone_of(record.embedding_space, rooms.backbones) is not None,
    )
