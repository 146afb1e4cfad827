"""What the three services share: settings, backbones, the catalog; and the questions asked of them together."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from glimpse.fewshot import Policy
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.vectors import Array
from glimpse.server.answer import Judgement, judgement_for
from glimpse.server.backbones import Backbones
from glimpse.server.catalog import Catalog
from glimpse.server.duty import Duty
from glimpse.server.errors import RequestError
from glimpse.server.settings import Settings
from glimpse.server.spaces import Source, source_of_collection
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
        """Where a collection's vectors come from."""
        return source_of_collection(view.record, self.backbones)

    def judgement(self, view: CollectionView, source: Source) -> Judgement:
        """How a collection's scores are judged, by the backbone that its vectors come from."""
        backbone = source.backbone
        if isinstance(backbone, RequestError):
            return judgement_for(view, Policy(0.5, 0.0), EXAMPLE_SCALE)
        return judgement_for(view, backbone.policy, backbone.prompt_scale)

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
