"""The synchronous client's calls on backbones, collections, labels and examples."""

from collections.abc import Iterator, Sequence

from glimpse.client import _resource_requests as requests
from glimpse.client._resource_requests import CollectionRef, Threshold
from glimpse.client._resources import Backbone, Collection, Example, Label
from glimpse.client._sync_core import SyncCore


class ResourceMethods(SyncCore):
    """Every method raises GlimpseError; a collection is given by id, by full name or as the Collection
    itself.

    A listing asks for pages as it is iterated, and so raises there. A create or delete whose answer was lost
    is sent again like any call: it can then end in AlreadyExists or NotFound, with `attempts` above 1, though
    it succeeded.
    """

    def list_backbones(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Backbone]:
        """The backbones the server has loaded, by name. `page_size` 0: the server's default."""
        return self._pages(requests.list_backbones(page_size), timeout)

    def get_backbone(self, name: str, *, timeout: float | None = None) -> Backbone:
        """One backbone. Raises NotFound."""
        return self._run(requests.get_backbone(name), timeout)

    def create_collection(
        self,
        collection_id: str,
        *,
        backbone: str = "",
        display_name: str = "",
        match_threshold: float | None = None,
        match_margin: float | None = None,
        min_space_cosine: float | None = None,
        names_as_prompts: bool = False,
        timeout: float | None = None,
    ) -> Collection:
        """Makes an empty collection, bound for good to one backbone's embedding space. Raises AlreadyExists.

        Args:
            collection_id: Lower-case letters, digits and hyphens, 1 to 63, a letter first.
            backbone: Its name. Empty: the server's only one.
            display_name: For people.
            match_threshold: The cosine under which an input is UNKNOWN. None: the backbone's default.
            match_margin: The lead in cosine under which an answer is AMBIGUOUS. None: the backbone's default.
            min_space_cosine: Take vectors of loaded backbones that declare the collection's space their parent, with
                at least this cosine. None: of the collection's own space alone.
            names_as_prompts: Let labels answer by their names until they have prompts or examples.
            timeout: Seconds for this call, retries included. None: the client's.
        """
        policy = requests.policy(match_threshold, match_margin, min_space_cosine)
        call = requests.create_collection(collection_id, backbone, display_name, policy, names_as_prompts)
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
        names_as_prompts: bool | None = None,
        timeout: float | None = None,
    ) -> Collection:
        """Changes what is given; "default" goes back to what holds where nothing is. Raises NotFound."""
        call = requests.update_collection(
            collection,
            display_name,
            names_as_prompts,
            match_threshold=match_threshold,
            match_margin=match_margin,
            min_space_cosine=min_space_cosine,
        )
        return self._run(call, timeout)

    def delete_collection(self, collection: CollectionRef, *, force: bool = False, timeout: float | None = None) -> int:
        """Deletes a collection; returns the revision. One with labels needs `force` (FailedPrecondition)."""
        return self._run(requests.delete_collection(collection, force), timeout)

    def create_label(
        self,
        collection: CollectionRef,
        label_id: str,
        *,
        display_name: str = "",
        prompts: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Label:
        """Makes a label. With prompts it classifies before it has an example. Raises AlreadyExists."""
        return self._run(requests.create_label(collection, label_id, display_name, prompts), timeout)

    def get_label(self, collection: CollectionRef, label: str, *, timeout: float | None = None) -> Label:
        """One label. Raises NotFound."""
        return self._run(requests.get_label(collection, label), timeout)

    def list_labels(
        self, collection: CollectionRef, *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[Label]:
        """The labels of a collection, by id."""
        return self._pages(requests.list_labels(collection, page_size), timeout)

    def update_label(
        self,
        collection: CollectionRef,
        label: str,
        *,
        display_name: str | None = None,
        prompts: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> Label:
        """Changes what is given; an empty list of prompts takes them away. Raises NotFound."""
        return self._run(requests.update_label(collection, label, display_name, prompts), timeout)

    def delete_label(
        self, collection: CollectionRef, label: str, *, force: bool = False, timeout: float | None = None
    ) -> int:
        """Deletes a label; returns the revision. One with examples needs `force` (FailedPrecondition)."""
        return self._run(requests.delete_label(collection, label, force), timeout)

    def get_example(self, name: str, *, include_vector: bool = False, timeout: float | None = None) -> Example:
        """One example by its full name, as evidence and enrolments give it. Raises NotFound."""
        return self._run(requests.get_example(name, include_vector), timeout)

    def list_examples(
        self,
        collection: CollectionRef,
        *,
        label: str = "",
        include_vector: bool = False,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> Iterator[Example]:
        """The examples of a collection, or of one label of it, in the order of their enrolment."""
        return self._pages(requests.list_examples(collection, label, include_vector, page_size), timeout)

    def delete_example(self, name: str, *, timeout: float | None = None) -> int:
        """Deletes an example and takes its effect back exactly; returns the revision. Raises NotFound."""
        return self._run(requests.delete_example(name), timeout)
