"""The synchronous client's calls on collections."""

from collections.abc import Iterator

from glimpse.client.requests import _collection_requests as requests
from glimpse.client.requests._collection_requests import Threshold
from glimpse.client.requests._enums import Head, LabelMode
from glimpse.client.requests._names import CollectionRef
from glimpse.client.results._collection_report import CollectionReport
from glimpse.client.results._compaction import Compaction
from glimpse.client.results._resources import Collection
from glimpse.client.transport._sync_core import SyncCore


class CollectionMethods(SyncCore):
    """Every method raises GlimpseError; a collection is given by id, by full name or as the Collection
    itself.

    A listing asks for pages as it is iterated, and so raises there. A create or delete whose answer was lost
    is sent again like any call: it can then end in AlreadyExists or NotFound, with `attempts` above 1, though
    it succeeded.
    """

    def create_collection(
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
        """Makes an empty collection, bound to one backbone's embedding space. Raises AlreadyExists.

        Args:
            collection_id: Lower-case letters, digits and hyphens, 1 to 63, a letter first.
            backbone: Its name. Empty: the server's only one.
            display_name: For people.
            match_threshold: The cosine to the best label's mean under which an input is UNKNOWN. None: by the rates
                below, or the backbone's default while there are too few examples for that.
            match_margin: The lead in cosine under which an answer is AMBIGUOUS. None: by prediction sets, or the
                backbone's default while there are too few examples for that.
            min_space_cosine: Take vectors of loaded backbones that declare the collection's space their parent, with
                at least this cosine. None: of the collection's own space alone.
            false_reject_rate: The part of what belongs here that may be called UNKNOWN, over 0 to 0.5. None: 0.05.
            false_accept_rate: The part of strangers that may be taken for a label, over 0 to 0.5. Set, it takes the
                place of false_reject_rate.
            coverage: How often the prediction set is to hold the right label: 0.5 to under 1. None: 0.9.
            names_as_prompts: Let labels without prompts be prompted by their names.
            keep_inputs: Keep the bytes of what is enrolled, so that another backbone can take the collection over.
            label_mode: Whether exactly one label is right or any number may be. Then fixed.
            pinned_head: The head that is to answer as soon as the examples allow it. UNSPECIFIED: the ladder chooses.
            timeout: Seconds for this call, retries included. None: the client's.
        """
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
        return self._run(call, timeout)

    def get_collection(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """One collection. Raises NotFound."""
        return self._run(requests.get_collection(collection), timeout)

    def list_collections(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Collection]:
        """The collections, by id."""
        return self._pages(requests.list_collections(page_size), timeout)

    def update_collection(
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
        """Changes what is given; "default" goes back to what holds where nothing is. Raises NotFound.

        `pinned_head` UNSPECIFIED lets the ladder choose again.
        """
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
        return self._run(call, timeout)

    def delete_collection(self, collection: CollectionRef, *, force: bool = False, timeout: float | None = None) -> int:
        """Deletes a collection; returns the revision. One with labels needs `force` (FailedPrecondition)."""
        return self._run(requests.delete_collection(collection, force), timeout)

    def collection_report(
        self, collection: CollectionRef, *, min_revision: int = 0, timeout: float | None = None
    ) -> CollectionReport:
        """What a collection knows of itself by leaving out each of its examples in turn. Raises NotFound.

        How good it is, what it confuses, which examples look wrong, what to add next; of `min_revision` at least.
        Takes seconds for thousands of examples.
        """
        return self._run(requests.collection_report(collection, min_revision), timeout)

    def attach_index(self, collection: CollectionRef, index: str, *, timeout: float | None = None) -> Collection:
        """Puts an index built in bulk under a collection: its rows are examples, its labels labels, within seconds.

        `index`: the name of its folder in the server's folder of indexes. The same index again changes nothing. Raises
        NotFound, and FailedPrecondition where it is of another embedding space or the collection has another index.
        """
        return self._run(requests.attach_index(collection, index), timeout)

    def detach_index(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """Takes a collection's index away with its examples; labels stay. Raises FailedPrecondition without one."""
        return self._run(requests.detach_index(collection), timeout)

    def start_compaction(self, collection: CollectionRef, *, timeout: float | None = None) -> Compaction:
        """Starts to fold a collection's index and the examples enrolled beside it into a new index; returns at once.

        The new index has no deleted rows, and takes the place of the old one. A compaction takes minutes for a million
        vectors; ask get_compaction for its state. While one is under way, the same call joins it.

        Raises:
            NotFound: There is no such collection.
            FailedPrecondition: The collection has no index.
        """
        return self._run(requests.start_compaction(collection), timeout)

    def get_compaction(self, collection: CollectionRef, *, timeout: float | None = None) -> Compaction:
        """Returns the last compaction of a collection that the server started since it started itself.

        Raises:
            NotFound: There is no such collection, or the server has not compacted it.
        """
        return self._run(requests.get_compaction(collection), timeout)
