"""The asyncio client's calls on changing a collection's backbone."""
# ruff: noqa: ASYNC109  (a timeout here covers retries and is what the server is told)

from glimpse.client.requests import _reembedding_requests as requests
from glimpse.client.requests._names import CollectionRef
from glimpse.client.results._reembedding import Reembedding, SwitchResult
from glimpse.client.results._resources import Collection
from glimpse.client.transport._async_core import AsyncCore


class AsyncReembeddingMethods(AsyncCore):
    """As ReembeddingMethods."""

    async def start_reembedding(
        self, collection: CollectionRef, backbone: str, *, timeout: float | None = None
    ) -> Reembedding:
        """As Client.start_reembedding."""
        return await self._run(requests.start_reembedding(collection, backbone), timeout)

    async def get_reembedding(
        self, collection: CollectionRef, *, measure: bool = False, timeout: float | None = None
    ) -> Reembedding:
        """As Client.get_reembedding."""
        return await self._run(requests.get_reembedding(collection, measure), timeout)

    async def switch_backbone(
        self, collection: CollectionRef, embedding_space: str, *, force: bool = False, timeout: float | None = None
    ) -> SwitchResult:
        """As Client.switch_backbone."""
        return await self._run(requests.switch_backbone(collection, embedding_space, force), timeout)

    async def end_reembedding(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """As Client.end_reembedding."""
        return await self._run(requests.end_reembedding(collection), timeout)
