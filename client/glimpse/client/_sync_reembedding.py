"""The synchronous client's calls on changing a collection's backbone."""

from glimpse.client.requests import _reembedding_requests as requests
from glimpse.client.requests._names import CollectionRef
from glimpse.client.results._reembedding import Reembedding, SwitchResult
from glimpse.client.results._resources import Collection
from glimpse.client.transport._sync_core import SyncCore


class ReembeddingMethods(SyncCore):
    """Start, look, switch, perhaps switch back, end; each can be called again. Every method raises GlimpseError."""

    def start_reembedding(
        self, collection: CollectionRef, backbone: str, *, timeout: float | None = None
    ) -> Reembedding:
        """Begins to embed what a collection holds by another backbone, in the background; it answers as before.

        Raises NotFound where the backbone is not loaded, and FailedPrecondition where the collection does not keep its
        inputs (`keep_inputs`) or stands on an index.
        """
        return self._run(requests.start_reembedding(collection, backbone), timeout)

    def get_reembedding(
        self, collection: CollectionRef, *, measure: bool = False, timeout: float | None = None
    ) -> Reembedding:
        """How far it is. `measure`: with both sides' figures, as `check`. Raises NotFound where there is none."""
        return self._run(requests.get_reembedding(collection, measure), timeout)

    def switch_backbone(
        self, collection: CollectionRef, embedding_space: str, *, force: bool = False, timeout: float | None = None
    ) -> SwitchResult:
        """Makes a collection answer by the side that is of a space, at once: the switch, and the way back.

        `force`: set aside what cannot be embedded. Raises FailedPrecondition where there is such without it, or where
        more is left than a switch embeds by itself.
        """
        return self._run(requests.switch_backbone(collection, embedding_space, force), timeout)

    def end_reembedding(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """Drops the side that a collection does not answer by, and what was set aside. Raises NotFound."""
        return self._run(requests.end_reembedding(collection), timeout)
