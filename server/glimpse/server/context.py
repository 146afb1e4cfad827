"""What the three services share: settings, backbones, the catalog; and the questions asked of them together."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import Policy, mean_direction
from glimpse.fewshot.vectors import Array
from glimpse.server.answer import Judgement, judgement_for
from glimpse.server.backbones import Backbones, LoadedBackbone
from glimpse.server.catalog import Catalog
from glimpse.server.embedding import Source, embed_all
from glimpse.server.errors import RequestError, failed_precondition
from glimpse.server.settings import Settings
from glimpse.server.view import CollectionView, Neighbor
from glimpse.v1 import types_pb2

# Multiply-adds a search may take on the event loop: about a millisecond. Greater ones go to a thread.
_INLINE_SEARCH = 4_000_000


@dataclass(frozen=True, slots=True)
class Rooms:
    """The server's parts, handed to every service."""

    settings: Settings
    backbones: Backbones
    catalog: Catalog
    searchers: ThreadPoolExecutor

    def source_of(self, view: CollectionView) -> Source:
        """Where a collection's vectors come from. Vectors are taken even where its backbone is not loaded."""
        record = view.record
        return Source(record.embedding_space, record.dimension, self._backbone_of(view))

    def judgement(self, view: CollectionView) -> Judgement:
        """How a collection's scores are judged."""
        backbone = self._backbone_of(view)
        if isinstance(backbone, RequestError):
            return judgement_for(view, Policy(0.5, 0.0), 1.0)
        return judgement_for(view, default_policy(backbone), backbone.manifest.logit_scale or 1.0)

    async def neighbors(
        self, view: CollectionView, queries: Array, k: int, label_ids: Sequence[str] = ()
    ) -> list[list[Neighbor]]:
        """The nearest examples of each query, in a thread where it would keep other calls waiting."""
        if k == 0 or view.example_count == 0:
            return [[] for _ in queries]
        if queries.size * view.example_count <= _INLINE_SEARCH:
            return view.neighbors(queries, k, label_ids)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.searchers, view.neighbors, queries, k, label_ids)

    def _backbone_of(self, view: CollectionView) -> LoadedBackbone | RequestError:
        record = view.record
        try:
            backbone = self.backbones.find(record.backbone, "")
        except RequestError:
            return failed_precondition(
                "BACKBONE_NOT_LOADED",
                f"collection {record.id!r} needs {record.backbone}; start the server with it, or send vectors",
            )
        if backbone.manifest.embedding_space != record.embedding_space:
            return failed_precondition(
                "EMBEDDING_SPACE_MISMATCH",
                f"collection {record.id!r} holds vectors of {record.backbone}'s embedding space "
                f"{record.embedding_space}; the one loaded has {backbone.manifest.embedding_space}",
            )
        return backbone


def source_of_backbone(backbone: LoadedBackbone) -> Source:
    """A backbone's own space."""
    return Source(backbone.manifest.embedding_space, backbone.manifest.dimension, backbone)


def default_policy(backbone: LoadedBackbone) -> Policy:
    """When a best label is believed, as the bundle suggests."""
    decision = backbone.manifest.decision
    return Policy(decision.match_threshold, decision.match_margin)


async def prompt_directions(
    source: Source, prompts: Sequence[Sequence[str]], fields: Sequence[str], deadline: float
) -> list[Array]:
    """The mean direction, (d,), of each list of prompts; `fields[i]` names the i-th list. Raises RequestError."""
    flat = [types_pb2.Input(text=text) for texts in prompts for text in texts]
    named = [f"{field}[{i}]" for texts, field in zip(prompts, fields, strict=True) for i in range(len(texts))]
    embedded = await embed_all(source, flat, named, deadline)
    for result in embedded:
        if isinstance(result, RequestError):
            raise result
    vectors = iter([result.vector for result in embedded if not isinstance(result, RequestError)])
    return [mean_direction(np.stack([next(vectors) for _ in texts])) for texts in prompts]
