"""What the three services share: settings, backbones, the catalog; and the questions asked of them together."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from glimpse.fewshot import Policy
from glimpse.fewshot.vectors import Array
from glimpse.server.answer import Judgement, judgement_for
from glimpse.server.backbones import Backbones, LoadedBackbone
from glimpse.server.catalog import Catalog
from glimpse.server.duty import Duty
from glimpse.server.embedding import Source
from glimpse.server.errors import RequestError, failed_precondition
from glimpse.server.settings import Settings
from glimpse.server.view import CollectionView, Neighbor

# Multiply-adds a search may take on the event loop: about a millisecond. Greater ones go to a thread.
_INLINE_SEARCH = 4_000_000


@dataclass(frozen=True, slots=True)
class Rooms:
    """The server's parts, handed to every service."""

    settings: Settings
    backbones: Backbones
    catalog: Catalog
    searchers: ThreadPoolExecutor
    duty: Duty = field(default_factory=Duty)

    def source_of(self, view: CollectionView) -> Source:
        """Where a collection's vectors come from. Vectors are taken even where its backbone is not loaded."""
        record = view.record
        return Source(record.embedding_space, record.dimension, self._backbone_of(view))

    def judgement(self, view: CollectionView) -> Judgement:
        """How a collection's scores are judged."""
        backbone = self._backbone_of(view)
        if isinstance(backbone, RequestError):
            return judgement_for(view, Policy(0.5, 0.0), 1.0)
        return judgement_for(view, backbone.policy, backbone.manifest.logit_scale or 1.0)

    async def neighbors(
        self, view: CollectionView, queries: Array, k: int, label_ids: Sequence[str] = ()
    ) -> list[list[Neighbor]]:
        """The k nearest examples of each query, of some labels or all; nearest first.

        Searched in a thread where it would keep other calls waiting.
        """
        among = view.sequences_of(label_ids) if label_ids else None
        count = view.example_count if among is None else len(among)
        if k == 0 or count == 0:
            return [[] for _ in queries]
        if queries.size * count <= _INLINE_SEARCH:
            found = view.index.search(queries, k, among)
        else:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self.searchers, view.index.search, queries, k, among)
        return view.named(*found)

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
