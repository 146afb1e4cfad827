"""Embeds what a re-embedding still lacks: examples, and the prompts of labels, by the other backbone."""

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
#: Examples, or labels, embedded at a time; it bounds the memory of their originals.
BATCH_SIZE = 32
# The most characters of an example's problem.
_MAX_PROBLEM = 300


@dataclass(frozen=True, slots=True)
class PendingInputs:
    """The next examples and labels with prompts that the other backbone has not embedded."""

    examples: Sequence[PendingExample]
    labels: Sequence[LabelRecord]

    def __bool__(self) -> bool:
        return bool(self.examples or self.labels)


@dataclass(frozen=True, slots=True)
class EmbeddedInputs:
    """The vectors of pending inputs, or the problems that prevent them."""

    examples: Sequence[ReembeddingResult] = ()
    prompts: Sequence[ReembeddingResult] = ()


def record_after_switch(record: CollectionRecord, reembedding: ReembeddingRecord) -> CollectionRecord:
    """Returns the collection's record as it would be after the switch to the other backbone."""
    return replace(
        record,
        backbone=reembedding.backbone,
        embedding_space=reembedding.embedding_space,
        dimension=reembedding.dimension,
        match_threshold=reembedding.match_threshold,
        match_margin=reembedding.match_margin,
        min_space_cosine=reembedding.min_space_cosine,
    )


def backbone_of(embedding_space: str, backbones: Backbones) -> LoadedBackbone | None:
    """Returns the loaded backbone with exactly this embedding space, whatever its name; None if there is none."""
    return next((backbone for backbone in backbones if backbone.manifest.embedding_space == embedding_space), None)


async def read_reembedding(
    catalog: Catalog, view: CollectionView, switches: int, query: Callable[[ReembeddingReader], T]
) -> T:
    """Runs a query of a re-embedding in the ledger, and returns its result.

    Args:
        catalog: The catalog.
        view: The collection.
        switches: How often the collection was switched when the caller read the re-embedding.
        query: The query.

    Raises:
        RequestError: UNAVAILABLE if the collection was switched since, or the re-embedding ended.
        LedgerError: The ledger cannot be read.
    """
    name = view.record.id

    def read(ledger: Ledger) -> T:
        with ledger.reembedding(name, switches) as reader:
            return query(reader)

    try:
        return await catalog.read(read)
    except NotFound as error:
        raise collection_reloaded(view) from error


def collection_reloaded(view: CollectionView) -> RequestError:
    """Returns the error of a call during which a collection was switched, or its re-embedding ended."""
    message = f"collection {view.record.id!r} was switched, or its re-embedding ended, during the call; retry"
    return RequestError(Code.UNAVAILABLE, "COLLECTION_RELOADED", message, "collection", retry_delay=0.1)


def labels_to_embed(labels: Iterable[LabelRecord], reader: ReembeddingReader) -> list[LabelRecord]:
    """Returns the labels whose prompts the other backbone has not embedded."""
    embedded = reader.embedded_prompts()
    return [label for label in labels if label.prompts and label.id not in embedded]


async def embed_pending(
    backbone: LoadedBackbone, pending: PendingInputs, before_batch: Callable[[], Awaitable[None]] | None = None
) -> EmbeddedInputs:
    """Embeds pending inputs in small batches.

    Args:
        backbone: The other backbone.
        pending: The inputs.
        before_batch: Awaited before each batch, so that calls go first.

    Raises:
        RequestError: An input failed for a reason that may pass. Other failures are stored as problems.
    """
    source, examples = source_of_backbone(backbone), list[ReembeddingResult]()
    # On a CPU, larger batches are no faster, and calls would wait longer for them.
    size = 1 if backbone.encoder.on_cpu else backbone.encoder.usual_batch
    for start in range(0, len(pending.examples), size):
        if before_batch:
            await before_batch()
        examples += await _embed(source, pending.examples[start : start + size])
    prompts = []
    for label in pending.labels:
        if before_batch:
            await before_batch()
        prompts.append(await _embed_prompts(source, label))
    return EmbeddedInputs(examples, prompts)


async def store(
    catalog: Catalog,
    view: CollectionView,
    switches: int,
    progress: ReembeddingProgress,
    pending: PendingInputs,
    embedded: EmbeddedInputs,
) -> int:
    """Writes embedded inputs to the ledger, except those that have changed since.

    Args:
        catalog: The catalog.
        view: The collection.
        switches: How often the collection was switched when the caller read the re-embedding.
        progress: The view's progress from before `pending` was read.
        pending: The inputs.
        embedded: Their vectors or problems.

    Returns:
        The revision.

    Raises:
        RequestError: The collection was deleted or reloaded.
        LedgerError: Nothing was written.
    """

    def plan() -> Callable[[Writer], int]:
        catalog.check_current(view, "collection")
        unchanged = {label.id for label in pending.labels if _has_prompts_of(view, label)}
        prompts = [prompt for prompt in embedded.prompts if prompt.key in unchanged]
        examples = embedded.examples
        # New progress: originals have arrived since, perhaps those of examples that had none. Do not store that
        # problem, so that these examples are looked at again.
        if view.reembedding_progress is not progress:
            without_original = {example.sequence for example in pending.examples if example.content is None}
            examples = [example for example in examples if example.key not in without_original]
        return lambda writer: writer.store_reembedded(view.record.id, switches, examples, prompts)

    return await catalog.write(plan, view.set_revision)


def _has_prompts_of(view: CollectionView, label: LabelRecord) -> bool:
    current = view.labels.get(label.id)
    return current is not None and current.prompts == label.prompts


async def _embed(source: Source, examples: Sequence[PendingExample]) -> list[ReembeddingResult]:
    kept = [example for example in examples if example.content is not None]
    fields = [f"example {example.sequence}" for example in kept]
    outcomes = await embed_all(source, [_input(example) for example in kept], fields, np.inf)
    by_sequence = dict(zip((example.sequence for example in kept), outcomes, strict=True))
    return [_embedded_example(example, by_sequence.get(example.sequence)) for example in examples]


def _input(example: PendingExample) -> types_pb2.Input:
    content = example.content or b""
    if example.modality == types_pb2.MODALITY_TEXT:
        return types_pb2.Input(text=content.decode())
    return types_pb2.Input(image=content)


def _embedded_example(example: PendingExample, outcome: Embedded | RequestError | None) -> ReembeddingResult:
    if outcome is None:
        was_vector = example.modality == types_pb2.MODALITY_VECTOR
        reason = "enrolled as a vector" if was_vector else "enroll it again"  # short, because tables show it
        return ReembeddingResult(example.sequence, None, f"ORIGINAL_NOT_KEPT: {reason}")
    if isinstance(outcome, RequestError):
        return ReembeddingResult(example.sequence, None, _problem(outcome))
    return ReembeddingResult(example.sequence, outcome.vector.astype("<f4").tobytes())


async def _embed_prompts(source: Source, label: LabelRecord) -> ReembeddingResult:
    try:
        [direction] = await prompt_directions(source, [label.prompts], ["prompts"], np.inf)
    except RequestError as refusal:
        return ReembeddingResult(label.id, None, _problem(refusal))
    return ReembeddingResult(label.id, direction.astype("<f4").tobytes())


def _problem(refusal: RequestError) -> str:
    """Returns a refusal as the problem of an example; raises it if a retry may succeed."""
    if refusal.retry_delay is not None:
        raise refusal
    return str(refusal)[:_MAX_PROBLEM]
