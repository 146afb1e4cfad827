"""Switches a collection to the backbone of its re-embedding, in one change of the ledger.

Inputs that are still pending are embedded before the transaction, while other calls write. During the transaction every
server's writes wait, so it only checks whether more has come, and embeds at most a few examples.
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
    BATCH_SIZE,
    EmbeddedInputs,
    PendingInputs,
    backbone_of,
    embed_pending,
    labels_to_embed,
    read_reembedding,
    store,
)
from glimpse.v1 import collection_service_pb2 as pb

_COSINES = ("match_threshold", "match_margin", "min_space_cosine")
# The most pending inputs that a switch embeds itself; with more, the re-embedding must go on first. Embedding them
# takes 32 rounds; the limit of rounds ends a switch during which examples arrive faster than they are embedded.
_MAX_PENDING, _MAX_ROUNDS = 1_000, 48
# The most examples embedded inside the transaction. If enrolments arrive without a pause, every round before it
# misses the last ones, so some must be embedded inside.
_MAX_INSIDE = 8


class NothingToDo(Exception):
    """Raised if a repeated request asks for the state that the collection is in already."""


class _Overtaken(Exception):
    """More inputs have come since the last round than a transaction embeds."""


@dataclass(slots=True)
class SwitchResult:
    """The result of a switch.

    Attributes:
        revision: The collection's revision.
        set_aside: The number of examples that the backbone could not embed. They count no longer, and return if the
            collection is switched back.
        former: The policy's cosines before the switch, by field.
    """

    revision: int = 0
    set_aside: int = 0
    former: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _State:
    """The state of a re-embedding at a revision, with the newest inputs that it lacks."""

    revision: int
    counts: ReembeddingCounts
    pending: PendingInputs


def reembedding_of(view: CollectionView) -> ReembeddingRecord:
    """Returns a collection's re-embedding. Raises RequestError NOT_FOUND if there is none."""
    if view.reembedding is None or view.reembedding.switches < 0:
        message = f"collection {view.record.id!r} has no re-embedding"
        raise not_found("REEMBEDDING_NOT_FOUND", message, "collection")
    return view.reembedding


class BackboneSwitch:
    """Switches collections to the backbone that they were re-embedded with, and back."""

    def __init__(self, catalog: Catalog, backbones: Backbones) -> None:
        """Embeds pending inputs with `backbones`, and writes through `catalog`."""
        self._catalog, self._backbones = catalog, backbones

    async def switch(self, view: CollectionView, request: pb.SwitchBackboneRequest) -> SwitchResult:
        """Switches a collection. Afterwards it has another view.

        Args:
            view: The collection.
            request: The request, with the embedding space to switch to.

        Raises:
            NothingToDo: The collection is in that space.
            RequestError: The collection is not switched.
            LedgerError: The ledger is unavailable.
        """
        for _ in range(_MAX_ROUNDS):
            reembedding, progress = _target(view, request.embedding_space), view.reembedding_progress
            state = await self._read_state(view, reembedding)
            _check_nearly_complete(state, force=request.force)
            if state.pending:
                pending = PendingInputs(state.pending.examples, state.pending.labels[:BATCH_SIZE])
                embedded = await embed_pending(self._backbone(reembedding), pending)
                await store(self._catalog, view, reembedding.switches, progress, pending, embedded)
                if len(pending.examples) == BATCH_SIZE or len(pending.labels) == BATCH_SIZE:
                    continue  # there are more, or more have come
            with suppress(_Overtaken):
                return await self._commit(view, request, state)
        message = f"collection {view.record.id!r} grows faster than {reembedding.backbone} embeds its examples; retry"
        raise RequestError(Code.UNAVAILABLE, "REEMBEDDING_OVERTAKEN", message, "collection", retry_delay=1.0)

    async def _commit(self, view: CollectionView, request: pb.SwitchBackboneRequest, before: _State) -> SwitchResult:
        """Commits the switch. Raises RequestError, NothingToDo and _Overtaken."""
        result = SwitchResult()

        async def plan() -> Callable[[Writer], int]:
            self._catalog.check_current(view, "collection")
            reembedding = _target(view, request.embedding_space)
            unchanged = before.revision == view.record.revision
            state = before if unchanged else await self._read_state(view, reembedding)
            embedded = await self._embed_last(reembedding, state)
            result.set_aside = state.counts.failed + sum(example.vector is None for example in embedded.examples)
            _check_failures(result.set_aside, state.counts.prompts_failed, force=request.force)
            result.former = {name: getattr(view.record, name) for name in _COSINES}
            examples, prompts = embedded.examples, embedded.prompts
            return lambda writer: writer.switch_backbone(view.record.id, reembedding.switches, examples, prompts)

        async def apply(revision: int) -> int:
            await self._catalog.follower.rebuild(view.record.id)
            return revision

        result.revision = await self._catalog.write(plan, apply)
        return result

    async def _read_state(self, view: CollectionView, reembedding: ReembeddingRecord) -> _State:
        revision, labels = view.record.revision, list(view.labels.values())

        def read(reader: ReembeddingReader) -> _State:
            counts = reader.counts()
            count = min(counts.left, BATCH_SIZE)
            # Pending examples are mostly the newest. If there are none, a search would read every example in vain.
            examples = reader.pending_examples(0, count, newest=True) if count else []
            return _State(revision, counts, PendingInputs(examples, labels_to_embed(labels, reader)))

        return await read_reembedding(self._catalog, view, reembedding.switches, read)

    async def _embed_last(self, reembedding: ReembeddingRecord, state: _State) -> EmbeddedInputs:
        """Embeds what has come since the last round. Raises _Overtaken and RequestError."""
        pending = state.pending
        if not pending:
            return EmbeddedInputs()
        count = sum(example.content is not None for example in pending.examples)
        if count > _MAX_INSIDE or state.counts.left > len(pending.examples) or pending.labels:
            raise _Overtaken
        return await embed_pending(self._backbone(reembedding), pending)

    def _backbone(self, reembedding: ReembeddingRecord) -> LoadedBackbone:
        """Returns the other backbone. Raises RequestError if this server has not loaded it."""
        backbone = backbone_of(reembedding.embedding_space, self._backbones)
        if backbone is None:
            message = f"some examples are not yet embedded by {reembedding.backbone}; start the server with it"
            raise failed_precondition("BACKBONE_NOT_LOADED", message, "collection")
        return backbone


def _target(view: CollectionView, embedding_space: str) -> ReembeddingRecord:
    """Returns the re-embedding to switch to. Raises RequestError and NothingToDo."""
    reembedding = reembedding_of(view)
    if embedding_space == view.record.embedding_space:
        raise NothingToDo
    if embedding_space != reembedding.embedding_space:
        spaces = f"{view.record.embedding_space!r} or {reembedding.embedding_space!r}"
        raise invalid("EMBEDDING_SPACE_MISMATCH", f"{embedding_space!r} is neither {spaces}", "embedding_space")
    return reembedding


def _check_nearly_complete(state: _State, *, force: bool) -> None:
    """Raises RequestError if too much is pending, or something failed."""
    examples, labels = state.counts.left, len(state.pending.labels)
    if examples + labels > _MAX_PENDING:
        message = f"{_counted(examples, labels)} are not embedded yet; a switch embeds at most {_MAX_PENDING} itself"
        raise _incomplete(message, "collection")
    _check_failures(state.counts.failed, state.counts.prompts_failed, force=force)


def _check_failures(examples: int, prompts: int, *, force: bool) -> None:
    """Raises RequestError if inputs failed and the request does not force the switch."""
    if (examples or prompts) and not force:
        message = f"{_counted(examples, prompts)} cannot be embedded; say force to switch without them"
        raise _incomplete(message, "force")


def _counted(examples: int, labels: int) -> str:
    counts = ((examples, "example", "examples"), (labels, "label's prompts", "labels' prompts"))
    return " and ".join(f"{count} {noun if count == 1 else plural}" for count, noun, plural in counts if count)


def _incomplete(message: str, field: str) -> RequestError:
    return failed_precondition("REEMBEDDING_INCOMPLETE", message, field)
