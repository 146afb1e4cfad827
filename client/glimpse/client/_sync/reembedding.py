"""The sync client's methods that change the backbone of a collection."""

from __future__ import annotations

from collections.abc import Iterator

from glimpse.client.requests import _reembedding_requests as requests
from glimpse.client.requests._names import CollectionRef
from glimpse.client.results._reembedding import Reembedding, SwitchResult
from glimpse.client.results._resources import Collection
from glimpse.client.transport._sync_core import SyncCore


class ReembeddingMethods(SyncCore):
    """Changes the backbone of a collection: start, watch, switch, switch back if needed, end.

    Each call can be repeated safely.
    """

    def start_reembedding(
        self, collection: CollectionRef, backbone: str, *, timeout: float | None = None
    ) -> Reembedding:
        """Starts to embed the examples of a collection with another backbone, in the background.

        The collection answers as before until `switch_backbone`.

        Args:
            collection: The collection to embed again. It must keep its inputs (`keep_inputs`).
            backbone: Name of the new backbone, which the server has loaded.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The state of the re-embedding.

        Raises:
            NotFound: If the collection does not exist, or the server has not loaded the backbone.
            FailedPrecondition: If the collection does not keep its inputs, or has an index.
            AlreadyExists: If a re-embedding to another embedding space exists.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.start_reembedding(collection, backbone), timeout)

    def get_reembedding(
        self, collection: CollectionRef, *, measure: bool = False, timeout: float | None = None
    ) -> Reembedding:
        """Returns the state of a re-embedding.

        Args:
            collection: The collection that is embedded again.
            measure: Whether to return the report of the collection with both backbones, which takes seconds for
                thousands of examples and needs the scope `admin`.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The state of the re-embedding.

        Raises:
            NotFound: If the collection has no re-embedding.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.get_reembedding(collection, measure), timeout)

    def list_reembeddings(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Reembedding]:
        """Lists the re-embeddings that have not ended, ordered by the id of the collection.

        Args:
            page_size: Number of re-embeddings in one request, at most 1,000. 0: the server's default of 100.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of re-embeddings, without failures and reports. It requests one page at a time.

        Raises:
            GlimpseError: If a request fails, when the iterator is read.
        """
        return self._pages(requests.list_reembeddings(page_size), timeout)

    def switch_backbone(
        self, collection: CollectionRef, embedding_space: str, *, force: bool = False, timeout: float | None = None
    ) -> SwitchResult:
        """Lets a collection answer with the other backbone of its re-embedding. It also switches back.

        Args:
            collection: The collection to switch.
            embedding_space: Embedding space that the collection should answer in: `Reembedding.shadow.embedding_space`
                to switch. If the collection is in that space already, nothing changes.
            force: Whether to set aside the examples that cannot be embedded.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The collection after the switch, and the policy values that no longer apply.

        Raises:
            NotFound: If the collection has no re-embedding.
            FailedPrecondition: If more than 1,000 examples are not embedded yet, or if some cannot be embedded and
                `force` is False.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.switch_backbone(collection, embedding_space, force), timeout)

    def end_reembedding(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """Ends a re-embedding: drops the vectors of the backbone that does not answer, and the examples set aside.

        Args:
            collection: The collection of the re-embedding.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The collection, which answers as before.

        Raises:
            NotFound: If the collection has no re-embedding.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.end_reembedding(collection), timeout)
