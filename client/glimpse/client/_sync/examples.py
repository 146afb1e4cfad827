"""The sync client's methods that enroll, read, change and delete examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from glimpse.client.requests import _content_requests, _input_requests, _resource_requests
from glimpse.client.requests._inputs import Examples
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._enrollment import Enrollment, ExampleUpdate
from glimpse.client.results._resources import Example
from glimpse.client.results._review import KeptInput
from glimpse.client.transport._sync_core import SyncCore


class ExampleMethods(SyncCore):
    """Enrolls, reads, changes and deletes examples."""

    def enroll(
        self,
        collection: CollectionRef,
        examples: Examples,
        *,
        create_labels: bool = False,
        request_id: str = "",
        measure_accuracy: bool = False,
        raise_on_failure: bool = True,
        timeout: float | None = None,
    ) -> Enrollment:
        """Enrolls examples. They are durable, and classify, as soon as this method returns.

        Enrolling the same content under the same label again changes nothing, so a call that failed half-way can
        simply be made again.

        Args:
            collection: The collection to add the examples to.
            examples: Contents with the ids of their labels.
            create_labels: Whether to create labels that do not exist. Otherwise an example of such a label fails with
                NotFound.
            request_id: An id of at most 100 characters; the same id with the same examples returns the same result.
                Empty: a random id, so that retries of this call are safe.
            measure_accuracy: Whether to wait until leave-one-out accuracy is measured with the new examples, which
                takes seconds for thousands of examples.
            raise_on_failure: Whether to raise EnrollmentFailed if an example fails. False: return the results of
                failed examples with the others.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            One result for each example, in order, and the revision that contains them.

        Raises:
            TypeError: If the content of an example is of no known type, or a `str` that looks like a file or a URL.
            EnrollmentFailed: If an example was not enrolled. The others stay enrolled, and `enrollment` of the
                exception has every result.
            NotFound: If the collection does not exist.
            GlimpseError: If the call fails for another reason.

        Example:
            ```python
            examples = [NewExample(Path("star.png"), "star"), NewExample(Path("moon.png"), "moon", domain="scans")]
            enrollment = client.enroll("shapes", examples, create_labels=True)
            print(enrollment.revision, enrollment.results[0].duplicate)
            ```
        """
        call = _input_requests.enroll(collection, examples, create_labels, request_id, measure_accuracy)
        enrollment = _input_requests.join_enrollments(self._run(call, timeout))
        if raise_on_failure:
            enrollment.raise_for_errors()
        return enrollment

    def get_example(self, name: str, *, include_vector: bool = False, timeout: float | None = None) -> Example:
        """Returns one example.

        Args:
            name: Full name of the example, as evidence and enrollments return it.
            include_vector: Whether to return the vector, of shape `(d,)`, too.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The example.

        Raises:
            NotFound: If the example does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(_resource_requests.get_example(name, include_vector), timeout)

    def list_examples(
        self,
        collection: CollectionRef,
        *,
        label: str = "",
        include_vector: bool = False,
        page_size: int = 0,
        timeout: float | None = None,
    ) -> Iterator[Example]:
        """Lists the examples of a collection in the order of their enrollment.

        Args:
            collection: The collection to read.
            label: Id of the label whose examples are listed. Empty: all labels.
            include_vector: Whether to return the vectors, of shape `(d,)`, too.
            page_size: Number of examples in one request, at most 1,000. 0: the server's default of 100.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of examples. It requests one page at a time.

        Raises:
            NotFound: If the collection does not exist, when the iterator is read.
            GlimpseError: If a request fails for another reason, when the iterator is read.
        """
        return self._pages(_resource_requests.list_examples(collection, label, include_vector, page_size), timeout)

    def delete_example(self, name: str, *, timeout: float | None = None) -> int:
        """Deletes an example and reverses its effect exactly.

        Args:
            name: Full name of the example.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The revision of the change.

        Raises:
            NotFound: If the example does not exist.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(_resource_requests.delete_example(name), timeout)

    def update_examples(
        self,
        collection: CollectionRef,
        names: Names,
        *,
        label: str | None = None,
        domain: str | None = None,
        group: str | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ExampleUpdate:
        """Gives several examples the same label, domain, group or metadata. Only values that are not None change.

        All examples change or none does, and the collection answers as if they had been enrolled with the new values.
        They keep their names, vectors, originals and times. To change them again is safe and changes nothing.

        Args:
            collection: The collection of the examples.
            names: Full names of at most 256 examples, each once.
            label: Id of their new label, which must exist. None: unchanged.
            domain: New domain. Empty: none. None: unchanged.
            group: New group. Empty: none. None: unchanged.
            metadata: New metadata, in place of all that an example has. None: unchanged.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The revision of the change, and how many of the examples changed.

        Raises:
            NotFound: If the collection, an example or the label does not exist. `field` names it, as in `names[3]`.
            AlreadyExists: If another example with the same content has the new label.
            FailedPrecondition: If an example is a row of the attached index.
            InvalidArgument: If an example is named twice, or a value is not allowed.
            GlimpseError: If the call fails for another reason.

        Example:
            ```python
            names = [example.name for example in client.list_examples("shapes", label="star")]
            update = client.update_examples("shapes", names[:256], label="moon")
            print(update.updated_count)
            ```
        """
        return self._run(_resource_requests.update_examples(collection, names, label, domain, group, metadata), timeout)

    def delete_examples(self, collection: CollectionRef, names: Names, *, timeout: float | None = None) -> int:
        """Deletes several examples, all or none of them, and reverses their effect exactly.

        Args:
            collection: The collection of the examples.
            names: Full names of at most 256 examples, each once.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The revision of the change.

        Raises:
            NotFound: If the collection or an example does not exist. `field` names it, as in `names[3]`.
            InvalidArgument: If an example is named twice.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(_resource_requests.delete_examples(collection, names), timeout)

    def list_example_content(
        self, collection: CollectionRef, names: Names, *, thumbnail_size: int = 0, timeout: float | None = None
    ) -> Iterator[KeptInput]:
        """Returns the kept originals of examples, or thumbnails of them.

        Args:
            collection: The collection of the examples.
            names: Full names of any number of examples.
            thumbnail_size: Largest side of a JPEG thumbnail in pixels, 16 to 512. 0: the bytes as they were sent.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of one kept input for each name, in order. It requests at most 256 at a time.

        Raises:
            FailedPrecondition: If `Collection.content_readable` is not set, when the iterator is read.
            GlimpseError: If a request fails for another reason, when the iterator is read.
        """
        return self._pages(_content_requests.list_example_content(collection, names, thumbnail_size), timeout)
