"""The sync client's methods that review kept queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from glimpse.client.requests import _content_requests
from glimpse.client.requests import _review_requests as requests
from glimpse.client.requests._enums import Decision
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._resolution import ReviewResolution, ReviewUndo
from glimpse.client.results._review import KeptInput, ReviewGroup, ReviewItem, ReviewPurge, ReviewSummary
from glimpse.client.transport._sync_core import SyncCore


class ReviewMethods(SyncCore):
    """Lists kept queries, resolves them alone or in groups, and deletes them.

    Which queries are kept is the `review_policy` of the collection.
    """

    def list_review_items(
        self,
        collection: CollectionRef,
        *,
        decisions: Decision | Sequence[Decision] = (),
        pairs: bool = False,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> Iterator[ReviewItem]:
        """Lists the items that wait, those first that are expected to teach the collection most.

        The first page fixes the order for ten minutes. Items that are resolved in that time are left out.

        Args:
            collection: The collection to review.
            decisions: List only items with one of these decisions. Empty: all.
            pairs: Whether an item is followed by the next one of its page that has the same group and best label, so
                that one answer probably names both. `ReviewItem.with_previous` marks the second of such a pair.
            page_size: Number of items in one request, at most 1,000. 0: the server's default of 100.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of items. It requests one page at a time.

        Raises:
            NotFound: If the collection does not exist, when the iterator is read.
            InvalidArgument: If ten minutes have passed (PAGE_TOKEN_EXPIRED), when the iterator is read. List again.
            GlimpseError: If a request fails for another reason, when the iterator is read.
        """
        return self._pages(requests.list_review_items(collection, decisions, pairs, page_size), timeout)

    def list_review_groups(
        self,
        collection: CollectionRef,
        *,
        vocabulary: Names = (),
        page_size: int = 0,
        timeout: float | None = None,
    ) -> Iterator[ReviewGroup]:
        """Lists groups of items that are alike, those with the most queries first.

        The server groups items in the background. Only the first call for a collection waits for it.

        Args:
            collection: The collection to review.
            vocabulary: Texts to propose names from, at most 1,000. Empty: the background vocabulary of the backbone.
            page_size: Number of groups in one request, at most 100. 0: the server's default of 20.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of groups. It requests one page at a time.

        Raises:
            NotFound: If the collection does not exist, when the iterator is read.
            InvalidArgument: If ten minutes have passed (PAGE_TOKEN_EXPIRED), when the iterator is read. List again.
            GlimpseError: If a request fails for another reason, when the iterator is read.
        """
        return self._pages(requests.list_review_groups(collection, vocabulary, page_size), timeout)

    def resolve_review_items(
        self,
        collection: CollectionRef,
        items: Names | ReviewGroup,
        *,
        label: str | None = None,
        new_label: str | None = None,
        negative: bool = False,
        skip: bool = False,
        measure: bool = False,
        request_id: str = "",
        timeout: float | None = None,
    ) -> ReviewResolution:
        """Says what items are, by exactly one of `label`, `new_label`, `negative` and `skip`.

        The items are enrolled in one durable transaction. An item that somebody else resolved, or that has expired, has
        an error in its result and does not affect the others.

        Args:
            collection: The collection of the items.
            items: Full names of at most 1,000 items, each once; or a group, which must not have changed.
            label: The items are of this label, which exists.
            new_label: The items are of a new label with this id, which is created.
            negative: The items are none of the labels. They are enrolled as negative examples.
            skip: The items are taken from the queue and not enrolled.
            measure: Whether to wait for accuracy and unknown rate after the resolution, which takes seconds for
                thousands of examples.
            request_id: An id of at most 128 characters; the same id with the same items returns the same result. Empty:
                a random id, so that retries of this call are safe.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The resolution, with one result for each item. `undo_review` takes it back.

        Raises:
            ValueError: If not exactly one of the four says what the items are.
            ReviewGroupChanged: If the group has other members now. Nothing was resolved.
            NotFound: If the collection or the label does not exist.
            AlreadyExists: If the new label exists.
            GlimpseError: If the call fails for another reason.

        Example:
            ```python
            for group in client.list_review_groups("shapes"):
                if group.proposed_label and group.probability > 0.9:
                    resolution = client.resolve_review_items("shapes", group, label=group.proposed_label)
                    print(resolution.name, len(resolution.failed))
            ```
        """
        call = requests.resolve_review_items(collection, items, label, new_label, negative, skip, measure, request_id)
        return self._run(call, timeout)

    def undo_review(self, resolution: str, *, timeout: float | None = None) -> ReviewUndo:
        """Takes a resolution back, all of it or nothing. To repeat the call changes nothing.

        It deletes the examples that the resolution enrolled, and the label that it created if that is empty now. The
        items return to the queue.

        Args:
            resolution: Full name of the resolution, as `ReviewResolution.name`.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The number of items and examples, and the revision.

        Raises:
            NotFound: If the resolution does not exist, or is forgotten.
            FailedPrecondition: If somebody has changed one of the examples or the label since. The message names them.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.undo_review(resolution), timeout)

    def list_review_content(
        self, collection: CollectionRef, items: Names, *, thumbnail_size: int = 0, timeout: float | None = None
    ) -> Iterator[KeptInput]:
        """Returns the kept inputs of items, or thumbnails of them.

        Args:
            collection: The collection of the items.
            items: Full names of any number of items.
            thumbnail_size: Largest side of a JPEG thumbnail in pixels, 16 to 512. 0: the bytes as they were sent.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of one kept input for each name, in order. It requests at most 256 at a time.

        Raises:
            FailedPrecondition: If `Collection.content_readable` is not set, when the iterator is read.
            GlimpseError: If a request fails for another reason, when the iterator is read.
        """
        return self._pages(_content_requests.list_review_content(collection, items, thumbnail_size), timeout)

    def review_summary(
        self, collection: CollectionRef, *, since: datetime | None = None, timeout: float | None = None
    ) -> ReviewSummary:
        """Returns how much waits for review, how much was done, and how the collection does on real queries.

        Args:
            collection: The collection to read.
            since: Start of the counts of what was done, with a time zone or in UTC. None: seven days ago.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The summary.

        Raises:
            NotFound: If the collection does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.review_summary(collection, since), timeout)

    def purge_review(
        self, collection: CollectionRef, *, stop_keeping: bool = False, timeout: float | None = None
    ) -> ReviewPurge:
        """Deletes every kept query of a collection, resolved or not, from the files of the database too.

        Enrolled examples stay. The call needs the scope admin.

        Args:
            collection: The collection to purge.
            stop_keeping: Whether to remove the review policy first, so that nothing is kept from now on.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The number of items and sampled queries that were deleted.

        Raises:
            NotFound: If the collection does not exist.
            PermissionDenied: If the caller does not have the scope admin.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.purge_review(collection, stop_keeping), timeout)
