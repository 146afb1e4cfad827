"""The switch: what a collection answers by and its shadow change places, in one change of the ledger."""

from collections.abc import Callable
from dataclasses import dataclass, field

from glimpse.ledger import Ledger, Progress, ShadowRecord, Writer
from glimpse.server.context import Rooms
from glimpse.server.errors import RequestError, failed_precondition, invalid, not_found
from glimpse.server.shadowing import AT_ONCE, Found, Lacking, backbone_of, embed_lacking, unprompted
from glimpse.server.view import CollectionView
from glimpse.v1 import collection_service_pb2 as pb

_COSINES = ("match_threshold", "match_margin", "min_space_cosine")


class ThereAlready(Exception):
    """Nothing is to be done."""


@dataclass(slots=True)
class Switched:
    """What a switch did."""

    revision: int = 0
    set_aside: int = 0
    former: dict[str, float | None] = field(default_factory=dict)


def shadow_of(view: CollectionView) -> ShadowRecord:
    """A collection's. Raises RequestError."""
    if view.shadow is None or view.shadow.turn < 0:
        message = f"collection {view.record.id!r} is not changing its backbone; start a migration first"
        raise not_found("MIGRATION_NOT_FOUND", message, "collection")
    return view.shadow


async def switch(rooms: Rooms, view: CollectionView, request: pb.SwitchBackboneRequest) -> Switched:
    """Switches; the view is another one then. Raises RequestError, and ThereAlready."""
    done = Switched()

    async def plan() -> Callable[[Writer], int]:
        rooms.catalog.check_current(view, "collection")
        shadow = _wanted(view, request.embedding_space)
        lacking, progress = await _read(rooms, view, shadow)
        found = await _embed_rest(rooms, shadow, lacking)
        done.set_aside = progress.failed + sum(one.vector is None for one in found.examples)
        without = progress.prompts_failed + sum(one.vector is None for one in found.prompts)
        if (done.set_aside or without) and not request.force:
            message = f"{done.set_aside} examples, and {without} labels' prompts, cannot be embedded"
            raise _incomplete(f"{message}; force sets these examples aside", "force")
        done.former = {name: getattr(view.record, name) for name in _COSINES}
        return lambda writer: writer.switch_backbone(view.record.id, shadow.turn, found.examples, found.prompts)

    async def apply(revision: int) -> int:
        await rooms.catalog.tracker.rebuild(view.record.id)
        return revision

    done.revision = await rooms.catalog.write(plan, apply)
    return done


def _wanted(view: CollectionView, embedding_space: str) -> ShadowRecord:
    shadow = shadow_of(view)
    if embedding_space == view.record.embedding_space:
        raise ThereAlready
    if embedding_space != shadow.embedding_space:
        known = f"{view.record.embedding_space!r} or {shadow.embedding_space!r}"
        raise invalid("EMBEDDING_SPACE_MISMATCH", f"{embedding_space!r} is neither {known}", "embedding_space")
    return shadow


async def _read(rooms: Rooms, view: CollectionView, shadow: ShadowRecord) -> tuple[Lacking, Progress]:
    """What is left, which must not be much, and what there is. Nobody can write meanwhile."""
    name, labels = view.record.id, list(view.labels.values())

    def read(ledger: Ledger) -> tuple[Lacking, Progress]:
        with ledger.shadow(name, shadow.turn) as reading:
            progress = reading.progress()
            few = min(progress.left, AT_ONCE)
            # What is left is mostly what came last; all is read in vain where nothing is left.
            examples = reading.missing(0, few, newest=True) if few else []
            return Lacking(examples, unprompted(labels, reading)), progress

    lacking, progress = await rooms.catalog.read(read)
    if progress.left > AT_ONCE or len(lacking.labels) > AT_ONCE:
        message = f"{progress.left} examples, and {len(lacking.labels)} labels' prompts, are to be embedded first"
        raise _incomplete(f"{message}; GetMigration tells how far it is", "collection")
    return lacking, progress


async def _embed_rest(rooms: Rooms, shadow: ShadowRecord, lacking: Lacking) -> Found:
    if not lacking:
        return Found()
    backbone = backbone_of(shadow.embedding_space, rooms.backbones)
    if backbone is None:
        message = f"some examples are not embedded by {shadow.backbone} yet; start the server with it"
        raise failed_precondition("BACKBONE_NOT_LOADED", message, "collection")
    return await embed_lacking(backbone, lacking)


def _incomplete(message: str, at: str) -> RequestError:
    return failed_precondition("MIGRATION_INCOMPLETE", message, at)
