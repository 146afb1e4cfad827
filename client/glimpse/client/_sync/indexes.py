"""The sync client's methods for the index of a collection."""

from __future__ import annotations

from glimpse.client.requests import _collection_requests as requests
from glimpse.client.requests._names import CollectionRef
from glimpse.client.results._compaction import Compaction
from glimpse.client.results._resources import Collection
from glimpse.client.transport._sync_core import SyncCore


class IndexMethods(SyncCore):
    """Attaches, detaches and compacts the index of a collection."""

    def attach_index(self, collection: CollectionRef, index: str, *, timeout: float | None = None) -> Collection:
        """Attaches a bulk-built index to a collection, so that its rows are examples and its labels are labels.

        It takes seconds. Attaching the same index again changes nothing.

        Args:
            collection: The collection to attach the index to.
            index: Name of the index's folder in the server's folder of indexes.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The collection after the change.

        Raises:
            NotFound: If the collection or the index does not exist.
            FailedPrecondition: If the index is in another embedding space, or the collection has another index.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.attach_index(collection, index), timeout)

    def detach_index(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """Detaches the index of a collection with its examples. The labels stay.

        Args:
            collection: The collection to detach the index from.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The collection after the change.

        Raises:
            NotFound: If the collection does not exist.
            FailedPrecondition: If the collection has no index.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.detach_index(collection), timeout)

    def start_compaction(self, collection: CollectionRef, *, timeout: float | None = None) -> Compaction:
        """Starts to fold a collection's index and the examples beside it into a new index, and returns at once.

        The new index has no deleted rows and replaces the old one when it is complete. A compaction takes minutes for
        a million vectors; `get_compaction` returns its state. While one is running, the same call joins it.

        Args:
            collection: The collection to compact.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The compaction that this call started or joined.

        Raises:
            NotFound: If the collection does not exist.
            FailedPrecondition: If the collection has no index.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.start_compaction(collection), timeout)

    def get_compaction(self, collection: CollectionRef, *, timeout: float | None = None) -> Compaction:
        """Returns the last compaction of a collection that the running server started.

        Args:
            collection: The collection that is compacted.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The state of the compaction.

        Raises:
            NotFound: If the collection does not exist, or the server has not compacted it since the server started.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.get_compaction(collection), timeout)
