"""The asyncio client's calls on changing a collection's backbone."""
# ruff: noqa: ASYNC109  (a timeout here covers retries and is what the server is told)

from glimpse.client.requests import _reembedding_requests as requests
from glimpse.client.requests._names import CollectionRef
from glimpse.client.results._reembedding import Migration, SwitchResult
from glimpse.client.results._resources import Collection
from glimpse.client.transport._async_core import AsyncCore


class AsyncMigrationMethods(AsyncCore):
    """As MigrationMethods."""

    async def start_migration(
        self, collection: CollectionRef, backbone: str, *, timeout: float | None = None
    ) -> Migration:
        """As Client.start_migration."""
        return await self._run(requests.start_migration(collection, backbone), timeout)

    async def get_migration(
        self, collection: CollectionRef, *, measure: bool = False, timeout: float | None = None
    ) -> Migration:
        """As Client.get_migration."""
        return await self._run(requests.get_migration(collection, measure), timeout)

    async def switch_backbone(
        self, collection: CollectionRef, embedding_space: str, *, force: bool = False, timeout: float | None = None
    ) -> SwitchResult:
        """As Client.switch_backbone."""
        return await self._run(requests.switch_backbone(collection, embedding_space, force), timeout)

    async def end_migration(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """As Client.end_migration."""
        return await self._run(requests.end_migration(collection), timeout)
