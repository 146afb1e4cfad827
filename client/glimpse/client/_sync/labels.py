"""The sync client's methods that create, read, update and delete labels."""

from __future__ import annotations

from collections.abc import Iterator

from glimpse.client.requests import _resource_requests as requests
from glimpse.client.requests._enums import LabelRole
from glimpse.client.requests._labels import Composition, LabelPolicy
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._resources import Label, MergedLabels
from glimpse.client.transport._sync_core import SyncCore


class LabelMethods(SyncCore):
    """Creates, reads, updates and deletes labels."""

    def create_label(
        self,
        collection: CollectionRef,
        label_id: str,
        *,
        display_name: str = "",
        prompts: Names = (),
        role: LabelRole = LabelRole.CLASS,
        parent: str = "",
        policy: LabelPolicy | None = None,
        composition: Composition | None = None,
        aliases: Names = (),
        timeout: float | None = None,
    ) -> Label:
        """Creates a label. A label with prompts can be an answer before it has examples.

        Args:
            collection: The collection to add the label to.
            label_id: 1 to 128 characters, without `/` and control characters.
            display_name: Name for people, at most 256 characters.
            prompts: Texts that describe the label, at most 64 of at most 4,096 characters. They need a backbone that
                reads text.
            role: What the examples of the label are; it cannot be changed later. Labels of the roles NEGATIVE and
                UNLABELED are never an answer.
            parent: Id of the more general label above it. Empty: none.
            policy: What replaces parts of the collection's policy for this label. None: nothing.
            composition: The labels that this label is composed of. None: it is learned from its own examples.
            aliases: Other ids that find the label, at most 64.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The new label.

        Raises:
            AlreadyExists: If the collection has a label of this id.
            NotFound: If the collection does not exist.
            InvalidArgument: If a field is malformed, or the backbone cannot read the prompts.
            GlimpseError: If the call fails for another reason.
        """
        call = requests.create_label(
            collection,
            label_id,
            role,
            display_name=display_name,
            prompts=prompts,
            parent=parent,
            policy=policy,
            composition=composition,
            aliases=aliases,
        )
        return self._run(call, timeout)

    def get_label(self, collection: CollectionRef, label: str, *, timeout: float | None = None) -> Label:
        """Returns one label.

        Args:
            collection: The collection of the label.
            label: Id or full name of the label.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The label.

        Raises:
            NotFound: If the collection or the label does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.get_label(collection, label), timeout)

    def list_labels(
        self, collection: CollectionRef, *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[Label]:
        """Lists the labels of a collection, ordered by id.

        Args:
            collection: The collection to read.
            page_size: Number of labels in one request, at most 1,000. 0: the server's default of 100.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of labels. It requests one page at a time.

        Raises:
            NotFound: If the collection does not exist, when the iterator is read.
            GlimpseError: If a request fails for another reason, when the iterator is read.
        """
        return self._pages(requests.list_labels(collection, page_size), timeout)

    def update_label(
        self,
        collection: CollectionRef,
        label: str,
        *,
        display_name: str | None = None,
        prompts: Names | None = None,
        parent: str | None = None,
        policy: LabelPolicy | None = None,
        composition: Composition | None = None,
        aliases: Names | None = None,
        timeout: float | None = None,
    ) -> Label:
        """Changes some fields of a label.

        Args:
            collection: The collection of the label.
            label: Id or full name of the label.
            display_name: New name for people. None: no change.
            prompts: New prompts, which replace the old ones; an empty list removes all prompts. None: no change.
            parent: Id of the new label above it; an empty text removes it from the tree. None: no change.
            policy: New policy, which replaces the old one; `LabelPolicy()` removes it. None: no change.
            composition: New composition; `Composition()` removes it. None: no change.
            aliases: New aliases, which replace the old ones. None: no change.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The label after the change.

        Raises:
            NotFound: If the collection or the label does not exist.
            InvalidArgument: If a field is malformed, or the backbone cannot read the prompts.
            GlimpseError: If the call fails for another reason.
        """
        call = requests.update_label(
            collection,
            label,
            display_name=display_name,
            prompts=prompts,
            parent=parent,
            policy=policy,
            composition=composition,
            aliases=aliases,
        )
        return self._run(call, timeout)

    def merge_labels(
        self, collection: CollectionRef, labels: Names, into: str, *, timeout: float | None = None
    ) -> MergedLabels:
        """Gives all examples of some labels to another label, deletes those labels, and makes their ids its aliases.

        Args:
            collection: The collection of the labels.
            labels: Ids of the 1 to 16 labels that are deleted. They have at most 10,000 examples together.
            into: Id of the label that gets the examples.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The label, and how many examples moved.

        Raises:
            FailedPrecondition: If a label has rows of the index, is used by another label, or the labels differ in
                their roles.
            NotFound: If the collection or a label does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.merge_labels(collection, labels, into), timeout)

    def delete_label(
        self, collection: CollectionRef, label: str, *, force: bool = False, timeout: float | None = None
    ) -> int:
        """Deletes a label.

        Args:
            collection: The collection of the label.
            label: Id or full name of the label.
            force: Whether to delete the examples of the label with it.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The revision of the change.

        Raises:
            FailedPrecondition: If the label has examples and `force` is False.
            NotFound: If the collection or the label does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.delete_label(collection, label, force), timeout)
