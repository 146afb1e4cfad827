"""The asyncio client's calls on collections."""
# ruff: noqa: ASYNC109  (a timeout here covers retries and is what the server is told)

from collections.abc import AsyncIterator

from glimpse.client.requests import _collection_requests as requests
from glimpse.client.requests._collection_requests import Threshold
from glimpse.client.requests._enums import Head, LabelMode
from glimpse.client.requests._names import CollectionRef
from glimpse.client.results._collection_report import CollectionReport
from glimpse.client.results._compaction import Compaction
from glimpse.client.results._resources import Collection
from glimpse.client.transport._async_core import AsyncCore


class AsyncCollectionMethods(AsyncCore):
    """As CollectionMethods; what lists is an async iterator."""

    async def create_collection(
        self,
        collection_id: str,
        *,
        backbone: str = "",
        display_name: str = "",
        match_threshold: float | None = None,
        match_margin: float | None = None,
        min_space_cosine: float | None = None,
        false_reject_rate: float | None = None,
        false_accept_rate: float | None = None,
        coverage: float | None = None,
        names_as_prompts: bool = False,
        keep_inputs: bool = False,
        label_mode: LabelMode = LabelMode.EXCLUSIVE,
        pinned_head: Head = Head.UNSPECIFIED,
        timeout: float | None = None,
    ) -> Collection:
        """As Client.create_collection."""
        call = requests.create_collection(
            collection_id,
            backbone,
            display_name,
            names_as_prompts,
            keep_inputs,
            label_mode,
            pinned_head,
            match_threshold=match_threshold,
            match_margin=match_margin,
            min_space_cosine=min_space_cosine,
            false_reject_rate=false_reject_rate,
            false_accept_rate=false_accept_rate,
            coverage=coverage,
        )
        return await self._run(call, timeout)

    async def get_collection(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """As Client.get_collection."""
        return await self._run(requests.get_collection(collection), timeout)

    def list_collections(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Collection]:
        """As Client.list_collections."""
        return self._pages(requests.list_collections(page_size), timeout)

    async def update_collection(
        self,
        collection: CollectionRef,
        *,
        display_name: str | None = None,
        match_threshold: Threshold = None,
        match_margin: Threshold = None,
        min_space_cosine: Threshold = None,
        false_reject_rate: Threshold = None,
        false_accept_rate: Threshold = None,
        coverage: Threshold = None,
        names_as_prompts: bool | None = None,
        keep_inputs: bool | None = None,
        pinned_head: Head | None = None,
        timeout: float | None = None,
    ) -> Collection:
        """As Client.update_collection."""
        call = requests.update_collection(
            collection,
            display_name,
            names_as_prompts,
            keep_inputs,
            pinned_head,
            match_threshold=match_threshold,
            match_margin=match_margin,
            min_space_cosine=min_space_cosine,
            false_reject_rate=false_reject_rate,
            false_accept_rate=false_accept_rate,
            coverage=coverage,
        )
        return await self._run(call, timeout)

    async def delete_collection(
        self, collection: CollectionRef, *, force: bool = False, timeout: float | None = None
    ) -> int:
        """As Client.delete_collection."""
        return await self._run(requests.delete_collection(collection, force), timeout)

    async def collection_report(
        self, collection: CollectionRef, *, min_revision: int = 0, timeout: float | None = None
    ) -> CollectionReport:
        """As Client.collection_report."""
        return await self._run(requests.collection_report(collection, min_revision), timeout)

    async def attach_index(self, collection: CollectionRef, index: str, *, timeout: float | None = None) -> Collection:
        """As Client.attach_index."""
        return await self._run(requests.attach_index(collection, index), timeout)

    async def detach_index(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """As Client.detach_index."""
        return await self._run(requests.detach_index(collection), timeout)

    async def start_compaction(self, collection: CollectionRef, *, timeout: float | None = None) -> Compaction:
        """As Client.start_compaction."""
        return await self._run(requests.start_compaction(collection), timeout)

    async def get_compaction(self, collection: CollectionRef, *, timeout: float | None = None) -> Compaction:
        """As Client.get_compaction."""
        return await self._run(requests.get_compaction(collection), timeout)
