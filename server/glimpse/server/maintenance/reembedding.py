"""What a collection's other side lacks, and embedding it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from glimpse.ledger import (
    CollectionRecord,
    LabelRecord,
    Ledger,
    NotFound,
    PendingExample,
    ReembeddingReader,
    ReembeddingRecord,
    ReembeddingResult,
    Writer,
)
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress
from glimpse.server.errors import Code, RequestError
from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import Source, source_of_backbone
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.v1 import types_pb2

T = TypeVar("T")
#: Examples, or labels, at a time; their originals are in memory meanwhile.
AT_ONCE = 32
# Characters of a problem.
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Lacking:
    """The next examples, and labels with prompts, that nothing is known of on the other side."""

    examples: Sequence[PendingExample]
    labels: Sequence[LabelRecord]

    def __bool__(self) -> bool:
        return bool(self.examples or self.labels)


@dataclass(frozen=True, slots=True)
class Found:
    """What came of embedding them."""

    examples: Sequence[ReembeddingResult] = ()
    prompts: Sequence[ReembeddingResult] = ()


def other_side(record: CollectionRecord, shadow: ReembeddingRecord) -> CollectionRecord:
    """What a collection would be after the switch."""
    return replace(
        record,
        backbone=shadow.backbone,
        embedding_space=shadow.embedding_space,
        dimension=shadow.dimension,
        match_threshold=shadow.match_threshold,
        match_margin=shadow.match_margin,
        min_space_cosine=shadow.min_space_cosine,
    )


def backbone_of(embedding_space: str, backbones: Backbones) -> LoadedBackbone | None:
    """The one loaded that makes the very space, by whatever name; None: there is none."""
    return next((one for one in backbones if one.manifest.embedding_space == embedding_space), None)


async def read_shadow(
    catalog: Catalog, view: CollectionView, switches: int, query: Callable[[ReembeddingReader], T]
) -> T:
    """Something of a collection's other side. Raises RequestError UNAVAILABLE where that is another meanwhile."""
    name = view.record.id

    def read(ledger: Ledger) -> T:
        with ledger.reembedding(name, switches) as shadow:
            return query(shadow)

    try:
        return await catalog.read(read)
    except NotFound as error:
        raise reloaded(view) from error


def reloaded(view: CollectionView) -> RequestError:
    """Where a collection was switched, or its re-embedding ended, while its other side was read."""
    message = f"collection {view.record.id!r} was switched, or its re-embedding ended, meanwhile; send the call again"
    return RequestError(Code.UNAVAILABLE, "COLLECTION_RELOADED", message, "collection", retry_delay=0.1)


def unprompted(labels: Iterable[LabelRecord], shadow: ReembeddingReader) -> list[LabelRecord]:
    """Those with prompts that nothing is known of on the other side."""
    prompted = shadow.embedded_prompts()
    return [label for label in labels if label.prompts and label.id not in prompted]


async def embed_lacking(
    backbone: LoadedBackbone, lacking: Lacking, before: Callable[[], Awaitable[None]] | None = None
) -> Found:
    """A few at a time; `before` each waits for those who come first. Raises RequestError of what may be tried again."""
    source, found = source_of_backbone(backbone), list[ReembeddingResult]()
    # On the CPU more at once is no faster, and whoever comes has to wait for it.
    size = 1 if backbone.encoder.on_cpu else backbone.encoder.usual_batch
    for start in range(0, len(lacking.examples), size):
        if before:
            await before()
        found += await _embed(source, lacking.examples[start : start + size])
    prompts = []
    for label in lacking.labels:
        if before:
            await before()
        prompts.append(await _embed_prompts(source, label))
    return Found(found, prompts)


async def store(
    catalog: Catalog, view: CollectionView, switches: int, reached: ReembeddingProgress, lacking: Lacking, found: Found
) -> int:
    """Writes down what came of embedding some, as far as that still holds; returns the revision.

    `reached`: the view's, from before `lacking` was read. Raises RequestError and LedgerError.
    """

    def plan() -> Callable[[Writer], int]:
        catalog.check_current(view, "collection")
        as_they_were = {one.id for one in lacking.labels if _has_prompts_of(view, one)}
        prompts = [one for one in found.prompts if one.key in as_they_were]
        examples = found.examples
        if view.reached is not reached:  # originals have come since: what had none is to be looked at again
            without = {one.sequence for one in lacking.examples if one.content is None}
            examples = [one for one in examples if one.key not in without]
        return lambda writer: writer.store_reembedded(view.record.id, switches, examples, prompts)

    return await catalog.write(plan, view.moved_to)


def _has_prompts_of(view: CollectionView, label: LabelRecord) -> bool:
    there = view.labels.get(label.id)
    return there is not None and there.prompts == label.prompts


async def _embed(source: Source, originals: Sequence[PendingExample]) -> list[ReembeddingResult]:
    kept = [one for one in originals if one.content is not None]
    fields = [f"example {one.sequence}" for one in kept]
    outcomes = await embed_all(source, [_input(one) for one in kept], fields, np.inf)
    by_sequence = dict(zip((one.sequence for one in kept), outcomes, strict=True))
    return [_shadowed(one, by_sequence.get(one.sequence)) for one in originals]


def _input(original: PendingExample) -> types_pb2.Input:
    content = original.content or b""
    if original.modality == types_pb2.MODALITY_TEXT:
        return types_pb2.Input(text=content.decode())
    return types_pb2.Input(image=content)


def _shadowed(original: PendingExample, outcome: Embedded | RequestError | None) -> ReembeddingResult:
    if outcome is None:
        was_vector = original.modality == types_pb2.MODALITY_VECTOR
        why = "enrolled as a vector" if was_vector else "enroll it again"  # short: tables show it
        return ReembeddingResult(original.sequence, None, f"ORIGINAL_NOT_KEPT: {why}")
    if isinstance(outcome, RequestError):
        return ReembeddingResult(original.sequence, None, _problem(outcome))
    return ReembeddingResult(original.sequence, outcome.vector.astype("<f4").tobytes())


async def _embed_prompts(source: Source, label: LabelRecord) -> ReembeddingResult:
    try:
        [direction] = await prompt_directions(source, [label.prompts], ["prompts"], np.inf)
    except RequestError as refusal:
        return ReembeddingResult(label.id, None, _problem(refusal))
    return ReembeddingResult(label.id, direction.astype("<f4").tobytes())


def _problem(refusal: RequestError) -> str:
    if refusal.retry_delay is not None:
        raise refusal
    return str(refusal)[:_LONGEST]
