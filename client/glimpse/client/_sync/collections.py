"""The sync client's methods that create, read, update and delete collections."""

from __future__ import annotations

from collections.abc import Iterator

from glimpse.client.requests import _collection_requests as requests
from glimpse.client.requests._enums import Head, LabelMode
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.requests._policies import DecisionPolicy, EmbeddingSpacePolicy, ReviewPolicy
from glimpse.client.results._collection_report import CollectionReport
from glimpse.client.results._decision_counts import DecisionCounts
from glimpse.client.results._resources import Collection
from glimpse.client.transport._sync_core import SyncCore


class CollectionMethods(SyncCore):
    """Creates, reads, updates and deletes collections."""

    def create_collection(
        self,
        collection_id: str,
        *,
        backbone: str = "",
        display_name: str = "",
        policy: DecisionPolicy | None = None,
        embedding_space_policy: EmbeddingSpacePolicy | None = None,
        review_policy: ReviewPolicy | None = None,
        names_as_prompts: bool = False,
        keep_inputs: bool = False,
        content_readable: bool = False,
        label_mode: LabelMode = LabelMode.EXCLUSIVE,
        pinned_head: Head = Head.UNSPECIFIED,
        adapt_to_unlabeled: bool = False,
        timeout: float | None = None,
    ) -> Collection:
        """Creates an empty collection in the embedding space of one backbone.

        Args:
            collection_id: 1 to 63 lower-case letters, digits and hyphens, starting with a letter.
            backbone: Name of the backbone. Empty: the only one that the server has loaded.
            display_name: Name for people, at most 256 characters.
            policy: When an answer is MATCH, UNKNOWN or AMBIGUOUS. None: the defaults.
            embedding_space_policy: Which vectors of other embedding spaces are accepted. None: none.
            review_policy: Which queries the server keeps for review. None: none.
            names_as_prompts: Whether labels without prompts use their names as prompts. It needs a backbone that reads
                text.
            keep_inputs: Whether the server keeps the bytes of enrolled inputs, so that another backbone can embed
                them again.
            content_readable: Whether callers with the scope enroll may read kept originals and kept queries. It needs
                the scope admin.
            label_mode: Whether exactly one label is right or any number of labels may be. It cannot be changed later.
            pinned_head: Head that answers as soon as there are enough examples for it. UNSPECIFIED: the server chooses
                by leave-one-out accuracy.
            adapt_to_unlabeled: Whether examples of one domain are adapted to unlabelled examples of others. Set it only
                if these have about the same mix of labels as the examples.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The new collection.

        Raises:
            AlreadyExists: If there is a collection of this id.
            NotFound: If the server has not loaded the backbone.
            InvalidArgument: If an argument is malformed or out of range.
            GlimpseError: If the call fails for another reason.
        """
        call = requests.create_collection(
            collection_id,
            backbone,
            display_name,
            policy,
            embedding_space_policy,
            review_policy,
            names_as_prompts,
            keep_inputs,
            content_readable,
            label_mode,
            pinned_head,
            adapt_to_unlabeled,
        )
        return self._run(call, timeout)

    def get_collection(self, collection: CollectionRef, *, timeout: float | None = None) -> Collection:
        """Returns one collection as it is now.

        Args:
            collection: The collection to read.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The collection.

        Raises:
            NotFound: If the collection does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.get_collection(collection), timeout)

    def list_collections(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Collection]:
        """Lists the collections, ordered by id.

        Args:
            page_size: Number of collections in one request, at most 1,000. 0: the server's default of 100.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of collections. It requests one page at a time.

        Raises:
            GlimpseError: If a request fails, when the iterator is read.
        """
        return self._pages(requests.list_collections(page_size), timeout)

    def update_collection(
        self,
        collection: CollectionRef,
        *,
        display_name: str | None = None,
        policy: DecisionPolicy | None = None,
        embedding_space_policy: EmbeddingSpacePolicy | None = None,
        review_policy: ReviewPolicy | None = None,
        reset: Names = (),
        names_as_prompts: bool | None = None,
        keep_inputs: bool | None = None,
        content_readable: bool | None = None,
        pinned_head: Head | None = None,
        adapt_to_unlabeled: bool | None = None,
        timeout: float | None = None,
    ) -> Collection:
        """Changes settings of a collection. An argument that is None changes nothing.

        Args:
            collection: The collection to change.
            display_name: New name for people.
            policy: Fields of the decision policy to set. Fields that are None keep their value.
            embedding_space_policy: Fields of the embedding space policy to set. Fields that are None keep their value.
            review_policy: Fields of the review policy to set. Fields that are None keep their value.
            reset: Names of policy fields that return to their default, for example `["coverage"]`. `review_policy`
                resets that policy as a whole, so that no query is kept from now on.
            names_as_prompts: Whether labels without prompts use their names as prompts.
            keep_inputs: Whether the server keeps the bytes of inputs that are enrolled from now on.
            content_readable: Whether callers with the scope enroll may read kept originals and kept queries. It needs
                the scope admin.
            pinned_head: Head that answers as soon as there are enough examples for it. UNSPECIFIED: the server chooses
                again.
            adapt_to_unlabeled: Whether examples of one domain are adapted to unlabelled examples of others. Set it only
                if these have about the same mix of labels as the examples.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The collection after the change.

        Raises:
            ValueError: If `reset` names an unknown field, or one that the same call sets.
            NotFound: If the collection does not exist.
            InvalidArgument: If an argument is out of range.
            GlimpseError: If the call fails for another reason.
        """
        call = requests.update_collection(
            collection,
            display_name,
            policy,
            embedding_space_policy,
            review_policy,
            reset,
            names_as_prompts,
            keep_inputs,
            content_readable,
            pinned_head,
            adapt_to_unlabeled,
        )
        return self._run(call, timeout)

    def delete_collection(self, collection: CollectionRef, *, force: bool = False, timeout: float | None = None) -> int:
        """Deletes a collection.

        Args:
            collection: The collection to delete.
            force: Whether to delete its labels and examples with it.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The revision of the change.

        Raises:
            FailedPrecondition: If the collection has labels and `force` is False.
            NotFound: If the collection does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.delete_collection(collection, force), timeout)

    def collection_report(
        self,
        collection: CollectionRef,
        *,
        min_revision: int = 0,
        include_left_out: bool = False,
        compare_backbones: bool = False,
        timeout: float | None = None,
    ) -> CollectionReport:
        """Returns the report of a collection: its accuracy, confusions, suspect examples and advice.

        The figures come from leaving out each example in turn. The call takes seconds for thousands of examples.

        Args:
            collection: The collection to measure.
            min_revision: Measure at least this revision, which a write returned. 0: the revision that the server has.
            include_left_out: Whether to return how each measured example is classified while it is left out.
            compare_backbones: Whether to measure the server's other backbones on kept inputs too, at most 300 of them.
                That takes the time to embed them, and the scope `classify`.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The report.

        Raises:
            NotFound: If the collection does not exist.
            GlimpseError: If the call fails for another reason.
        """
        request = requests.collection_report(collection, min_revision, include_left_out, compare_backbones)
        return self._run(request, timeout)

    def decision_counts(
        self, collection: CollectionRef, *, days: int = 0, timeout: float | None = None
    ) -> tuple[DecisionCounts, ...]:
        """Returns how often a collection made each decision, by days in UTC, on all servers together.

        Servers add their counts every 3 seconds.

        Args:
            collection: The collection to read.
            days: Number of days up to today, at most 400. 0: 30 days.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The counts of each day with a decision, in order.

        Raises:
            NotFound: If the collection does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.decision_counts(collection, days), timeout)
