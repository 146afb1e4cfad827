"""The synchronous client's calls on backbones, labels and examples."""

from collections.abc import Iterator

from glimpse.client._sync_collections import CollectionMethods
from glimpse.client.requests import _resource_requests as requests
from glimpse.client.requests._enums import LabelRole
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._resources import Backbone, Example, Label
from glimpse.client.results._server_info import ServerInfo, server_info


class ResourceMethods(CollectionMethods):
    """Errors, listings and what is sent again are as in CollectionMethods."""

    def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """What the server is and how it is doing. Raises Unimplemented where it is older than this call."""
        return self._run(server_info(), timeout)

    def list_backbones(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Backbone]:
        """The backbones the server has loaded, by name. `page_size` 0: the server's default."""
        return self._pages(requests.list_backbones(page_size), timeout)

    def get_backbone(self, name: str, *, timeout: float | None = None) -> Backbone:
        """One backbone. Raises NotFound."""
        return self._run(requests.get_backbone(name), timeout)

    def create_label(
        self,
        collection: CollectionRef,
        label_id: str,
        *,
        display_name: str = "",
        prompts: Names = (),
        role: LabelRole = LabelRole.CLASS,
        timeout: float | None = None,
    ) -> Label:
        """Makes a label. With prompts it classifies before it has an example. Raises AlreadyExists.

        `role`: what its examples are, for good. Known strangers (NEGATIVE) and examples of classes nobody told
        (UNLABELED) are enrolled under a label like any other, which is never an answer.
        """
        return self._run(requests.create_label(collection, label_id, display_name, prompts, role), timeout)

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
        prompts: Names | None = None,
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
