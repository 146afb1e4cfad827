"""The switch: what a collection answers by and its shadow change places, in one change of the ledger.

What is left to be embedded is embedded before, while others write. Whoever holds the ledger's head for the switch keeps
every server's writes waiting: there it is only looked whether anything has come since.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from glimpse.ledger import ReembeddingCounts, ReembeddingReader, ReembeddingRecord, Writer
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import Code, RequestError, failed_precondition, invalid, not_found
from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.maintenance.reembedding import (
    AT_ONCE,
    Found,
    Lacking,
    backbone_of,
    embed_lacking,
    read_shadow,
    store,
    unprompted,
)
from glimpse.v1 import collection_service_pb2 as pb

_COSINES = ("match_threshold", "match_margin", "min_space_cosine")
# Examples that a switch embeds by itself; where more are left it is too early. And how often it looks: that many take
# 32 looks, and where more come than it embeds it would never end.
_MOST_LEFT, _LOOKS = 1_000, 48
# Examples embedded while all writes wait. Enrolments are embedded by the shadow after they are committed, and go on
# coming: where they come without a pause there are always some that no look outside has seen, and no other end.
_FEW = 8


class ThereAlready(Exception):
    """Nothing is to be done."""


class _Overtaken(Exception):
    """More has come since the last look than is embedded while all writes wait."""


@dataclass(slots=True)
class Switched:
    """What a switch did."""

    revision: int = 0
    set_aside: int = 0
    former: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Look:
    """How far a shadow is, as of a collection's revision: with the last that it lacks."""

    revision: int
    progress: ReembeddingCounts
    lacking: Lacking


def shadow_of(view: CollectionView) -> ReembeddingRecord:
    """A collection's. Raises RequestError."""
    if view.shadow is None or view.shadow.switches < 0:
        message = f"collection {view.record.id!r} is not changing its backbone"
        raise not_found("REEMBEDDING_NOT_FOUND", message, "collection")
    return view.shadow


class BackboneSwitch:
    """Switches collections to the backbone that they were re-embedded with, and back."""

    def __init__(self, catalog: Catalog, backbones: Backbones) -> None:
        """Embeds what is left with one of `backbones`, and writes through `catalog`."""
        self._catalog, self._backbones = catalog, backbones

    async def switch(self, view: CollectionView, request: pb.SwitchBackboneRequest) -> Switched:
        """Switches; the view is another one then. Raises RequestError, and ThereAlready."""
        for _ in range(_LOOKS):
            shadow, reached = _wanted(view, request.embedding_space), view.reached
            seen = await self._look(view, shadow)
            _check_far_enough(seen, force=request.force)
            if seen.lacking:
                some = Lacking(seen.lacking.examples, seen.lacking.labels[:AT_ONCE])
                found = await embed_lacking(self._backbone(shadow), some)
                await store(self._catalog, view, shadow.switches, reached, some, found)
                if len(some.examples) == AT_ONCE or len(some.labels) == AT_ONCE:
                    continue  # there are more, or as many have come
            with suppress(_Overtaken):
                return await self._exchange(view, request, seen)
        message = f"more of {view.record.id!r} is enrolled than {shadow.backbone} embeds meanwhile; send the call again"
        raise RequestError(Code.UNAVAILABLE, "REEMBEDDING_OVERTAKEN", message, "collection", retry_delay=1.0)

    async def _exchange(self, view: CollectionView, request: pb.SwitchBackboneRequest, seen: _Look) -> Switched:
        """The switch itself; `seen`: before. Raises RequestError, ThereAlready and _Overtaken."""
        done = Switched()

        async def plan() -> Callable[[Writer], int]:
            self._catalog.check_current(view, "collection")
            shadow = _wanted(view, request.embedding_space)
            now = seen if seen.revision == view.record.revision else await self._look(view, shadow)
            found = await self._embed_few(shadow, now)
            done.set_aside = now.progress.failed + sum(one.vector is None for one in found.examples)
            _check_possible(done.set_aside, now.progress.prompts_failed, force=request.force)
            done.former = {name: getattr(view.record, name) for name in _COSINES}
            return lambda writer: writer.switch_backbone(view.record.id, shadow.switches, found.examples, found.prompts)

        async def apply(revision: int) -> int:
            await self._catalog.tracker.rebuild(view.record.id)
            return revision

        done.revision = await self._catalog.write(plan, apply)
        return done

    async def _look(self, view: CollectionView, shadow: ReembeddingRecord) -> _Look:
        revision, labels = view.record.revision, list(view.labels.values())

        def read(there: ReembeddingReader) -> _Look:
            progress = there.counts()
            few = min(progress.left, AT_ONCE)
            # What is left is mostly what came last; all is read in vain where nothing is left.
            examples = there.pending_examples(0, few, newest=True) if few else []
            return _Look(revision, progress, Lacking(examples, unprompted(labels, there)))

        return await read_shadow(self._catalog, view, shadow.switches, read)

    async def _embed_few(self, shadow: ReembeddingRecord, now: _Look) -> Found:
        """What has come since the last look. Raises _Overtaken, and RequestError."""
        lacking = now.lacking
        if not lacking:
            return Found()
        encoded = sum(one.content is not None for one in lacking.examples)
        if encoded > _FEW or now.progress.left > len(lacking.examples) or lacking.labels:
            raise _Overtaken
        return await embed_lacking(self._backbone(shadow), lacking)

    def _backbone(self, shadow: ReembeddingRecord) -> LoadedBackbone:
        """Raises RequestError where this server has not loaded it."""
        backbone = backbone_of(shadow.embedding_space, self._backbones)
        if backbone is None:
            message = f"some examples are not embedded by {shadow.backbone} yet; start the server with it"
            raise failed_precondition("BACKBONE_NOT_LOADED", message, "collection")
        return backbone


def _wanted(view: CollectionView, embedding_space: str) -> ReembeddingRecord:
    shadow = shadow_of(view)
    if embedding_space == view.record.embedding_space:
        raise ThereAlready
    if embedding_space != shadow.embedding_space:
        known = f"{view.record.embedding_space!r} or {shadow.embedding_space!r}"
        raise invalid("EMBEDDING_SPACE_MISMATCH", f"{embedding_space!r} is neither {known}", "embedding_space")
    return shadow


def _check_far_enough(seen: _Look, *, force: bool) -> None:
    """Raises RequestError."""
    left, labels = seen.progress.left, len(seen.lacking.labels)
    if left + labels > _MOST_LEFT:
        message = f"{_told(left, labels)} are not embedded yet; a switch embeds {_MOST_LEFT} by itself at most"
        raise _incomplete(message, "collection")
    _check_possible(seen.progress.failed, seen.progress.prompts_failed, force=force)


def _check_possible(failed: int, prompts_failed: int, *, force: bool) -> None:
    """Raises RequestError."""
    if (failed or prompts_failed) and not force:
        message = f"{_told(failed, prompts_failed)} cannot be embedded; say force to go on without"
        raise _incomplete(message, "force")


def _told(examples: int, labels: int) -> str:
    counts = ((examples, "example", "examples"), (labels, "label's prompts", "labels' prompts"))
    return " and ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)


def _incomplete(message: str, at: str) -> RequestError:
    return failed_precondition("REEMBEDDING_INCOMPLETE", message, at)
