"""Embeds a sample of kept inputs, and the labels' prompts, with another backbone; calls go first."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.backbone import name_as_prompt, with_templates
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.ledger import LabelRecord
from glimpse.server.auth.caller import current_caller
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.errors import Code, RequestError
from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import source_of_backbone
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.server.maintenance.comparison_sample import ComparisonSample
from glimpse.v1 import types_pb2

# Originals in memory at a time.
_READ_AT_ONCE = 32
# Seconds kept of a deadline for the reply.
_REPLY_SECONDS = 0.1
_KINDS = {int(types_pb2.MODALITY_IMAGE): "image", int(types_pb2.MODALITY_TEXT): "text"}


@dataclass(frozen=True, slots=True)
class SampleEmbedder:
    """Embeds inputs of one collection; what is embedded stays for a call that continues.

    Attributes:
        catalog: Where the originals are.
        backbones: All loaded backbones, whose calls go first.
        collection_id: The collection.
        vectors: The vectors by embedding space and content digest; None for an input that the backbone cannot embed.
    """

    catalog: Catalog
    backbones: Backbones
    collection_id: str
    vectors: dict[tuple[str, str], Array | None] = field(default_factory=dict)

    async def embed(
        self, sample: ComparisonSample, backbone: LoadedBackbone, deadline: float
    ) -> tuple[Rows, Sequence[Array]]:
        """Embeds the examples that the backbone reads, in small batches.

        Returns:
            The positions of those that it could embed, `(m,)`, and their vectors.

        Raises:
            RequestError: The time is over, or a queue or a limit is; a retry continues.
            LedgerError: The originals cannot be read.
        """
        space, modalities = backbone.manifest.embedding_space, dict(zip(sample.digests, sample.modalities, strict=True))
        readable = [one for one in modalities if _KINDS.get(modalities[one]) in backbone.manifest.modalities]
        left = [digest for digest in readable if (space, digest) not in self.vectors]
        # On a CPU, larger batches are no faster, and calls would wait longer for them.
        size = 1 if backbone.encoder.on_cpu else backbone.encoder.usual_batch
        for start in range(0, len(left), _READ_AT_ONCE):
            digests = left[start : start + _READ_AT_ONCE]
            contents = await self.catalog.read(lambda ledger: ledger.original_contents(self.collection_id, digests))  # noqa: B023
            for first in range(0, len(digests), size):
                await self.backbones.let_calls_go_first()
                _check_time(deadline, backbone, len(left) - start - first)
                batch = digests[first : first + size]
                current_caller().spend_inputs(len(batch))
                inputs = [_input(modalities[digest], contents.get(digest, b"")) for digest in batch]
                outcomes = await embed_all(source_of_backbone(backbone), inputs, batch, np.inf)
                for digest, outcome in zip(batch, outcomes, strict=True):
                    self.vectors[space, digest] = _vector(outcome)
        found = [(place, self.vectors.get((space, digest))) for place, digest in enumerate(sample.digests)]
        embedded = [(place, vector) for place, vector in found if vector is not None]
        return np.array([place for place, _ in embedded], np.intp), [vector for _, vector in embedded]

    async def texts(self, sample: ComparisonSample, backbone: LoadedBackbone, deadline: float) -> dict[str, Array]:
        """Returns the directions of prompts by label, for labels that have them by the collection's own backbone.

        Raises RequestError as `embed` does. A label whose prompts the backbone cannot embed has none.
        """
        directions, source = dict[str, Array](), source_of_backbone(backbone)
        reads_text = "text" in backbone.manifest.modalities
        for label in sample.labels if reads_text else ():
            if label.id not in sample.texts:
                continue
            await self.backbones.let_calls_go_first()
            _check_time(deadline, backbone, 0)
            prompts, spend = _prompts(label, backbone), current_caller().spend_inputs
            try:
                [directions[label.id]] = await prompt_directions(source, [prompts], [label.id], np.inf, spend)
            except RequestError as error:
                if error.retry_delay is not None:
                    raise
        return directions


def _check_time(deadline: float, backbone: LoadedBackbone, left: int) -> None:
    """Raises RequestError if the caller's time is nearly over."""
    if time.monotonic() < deadline - _REPLY_SECONDS:
        return
    message = f"{left} of the sample's inputs are still to be embedded by {backbone.name}; retry to continue"
    raise RequestError(Code.UNAVAILABLE, "BACKBONES_NOT_COMPARED", message, retry_delay=0.1)


def _input(modality: int, content: bytes) -> types_pb2.Input:
    if modality == types_pb2.MODALITY_TEXT:
        return types_pb2.Input(text=content.decode())
    return types_pb2.Input(image=content)


def _vector(outcome: Embedded | RequestError) -> Array | None:
    """Returns an outcome's vector; None if the input cannot be embedded. Raises an error that may pass."""
    if isinstance(outcome, Embedded):
        return outcome.vector
    if outcome.retry_delay is not None:
        raise outcome
    return None


def _prompts(label: LabelRecord, backbone: LoadedBackbone) -> list[str]:
    """Returns a label's own prompts, or its name in the backbone's templates."""
    if label.prompts:
        return list(label.prompts)
    return with_templates([name_as_prompt(label.id, label.display_name)], backbone.manifest.prompt_templates)
