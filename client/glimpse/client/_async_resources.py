"""The asyncio client's calls on backbones, labels and examples."""
# ruff: noqa: ASYNC109  (a timeout here covers retries and is what the server is told)

from collections.abc import AsyncIterator

from glimpse.client._async_collections import AsyncCollectionMethods
from glimpse.client.requests import _resource_requests as requests
from glimpse.client.requests._enums import LabelRole
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._resources import Backbone, Example, Label
from glimpse.client.results._server_info import ServerInfo, server_info


class AsyncResourceMethods(AsyncCollectionMethods):
    """As ResourceMethods; what lists is an async iterator."""

    async def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """As Client.server_info."""
        return await self._run(server_info(), timeout)

    def list_backbones(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Backbone]:
        """As Client.list_backbones."""
        return self._pages(requests.list_backbones(page_size), timeout)

    async def get_backbone(self, name: str, *, timeout: float | None = None) -> Backbone:
        """As Client.get_backbone."""
        return await self._run(requests.get_backbone(name), timeout)

    async def create_label(
        self,
        collection: CollectionRef,
        label_id: str,
        *,
        display_name: str = "",
        prompts: Names = (),
        role: LabelRole = LabelRole.CLASS,
        timeout: float | None = None,
    ) -> Label:
        """As Client.create_label."""
        return await self._run(requests.create_label(collection, label_id, display_name, prompts, role), timeout)

    async def get_label(self, collection: CollectionRef, label: str, *, timeout: float | None = None) -> Label:
        """As Client.get_label."""
        return await self._run(requests.get_label(collection, label), timeout)

    def list_labels(
        self, collection: CollectionRef, *, page_size: int = 0, timeout: float | None = None
    ) -> AsyncIterator[Label]:
        """As Client.list_labels."""
        return self._pages(requests.list_labels(collection, page_size), timeout)

    async def update_label(
        self,
        collection: CollectionRef,
        label: str,
        *,
        display_name: str | None = None,
        prompts: Names | None = None,
        timeout: float | None = None,
    ) -> Label:
        """As Client.update_label."""
        return await self._run(requests.update_label(collection, label, display_name, prompts), timeout)

    async def delete_label(
        self, collection: CollectionRef, label: str, *, force: bool = False, timeout: float | None = None
    ) -> int:
        """As Client.delete_label."""
        return await self._run(requests.delete_label(collection, label, force), timeout)

    async def get_example(self, name: str, *, include_vector: bool = False, timeout: float | None = None) -> Example:
        """As Client.get_example."""
        return await self._run(requests.get_example(name, include_vector), timeout)

    def list_examples(
        self,
        collection: CollectionRef,
        *,
        label: str = "",
        include_vector: bool = False,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[Example]:
        """As Client.list_examples."""
        return self._pages(requests.list_examples(collection, label, include_vector, page_size), timeout)

    async def delete_example(self, name: str, *, timeout: float | None = None) -> int:
        """As Client.delete_example."""
        return await self._run(requests.delete_example(name), timeout)
