"""A collection of a server, which an estimator creates and fills."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glimpse.sklearn._answer import Answer
from glimpse.sklearn._inputs import Inputs

if TYPE_CHECKING:
    from glimpse.client import DecisionPolicy

# The labels of one response, for all its inputs together.
_MOST_ENTRIES = 65_536


class CollectionModel:
    """Enrolls examples in one collection of a server and classifies by it.

    The client reads the key and the certificates of the connection from its environment variables.
    """

    def __init__(self, server: str, collection: str, revision: int, space: str) -> None:
        """Takes a collection that `create_collection` made, its revision, and its embedding space."""
        self._server, self._collection, self._revision, self._space = server, collection, revision, space

    @classmethod
    def create(
        cls, server: str, collection: str, backbone: str | None, policy: "DecisionPolicy | None"
    ) -> "CollectionModel":
        """Creates the collection.

        Raises:
            ValueError: If it exists: its examples are not the estimator's to delete.
            GlimpseError: If the server refuses it, or does not answer.
        """
        from glimpse.client import AlreadyExists, Client

        with Client(server) as client:
            try:
                made = client.create_collection(collection, backbone=backbone or "", policy=policy)
            except AlreadyExists as error:
                raise ValueError(
                    f"the server has a collection {collection!r} already: delete it (`glimpse collections delete "
                    f"{collection} --force`) or name another; for cross-validation, name none"
                ) from error
        return cls(server, made.id, made.revision, made.embedding_space)

    def delete(self) -> None:
        """Deletes the collection with its examples, if it is still there."""
        from glimpse.client import Client, NotFound

        with Client(self._server) as client:
            try:
                client.delete_collection(self._collection, force=True)
            except NotFound:
                return

    def add(self, labels: Sequence[str], inputs: Inputs) -> None:
        """Enrolls examples, and waits until the collection is fitted to them.

        Raises:
            EnrollmentFailed: If an example was not enrolled. The others are.
            GlimpseError: If the server does not answer.
        """
        from glimpse.client import Client, NewExample

        examples = [NewExample(content, label) for content, label in zip(self._contents(inputs), labels, strict=True)]
        with Client(self._server) as client:
            self._revision = client.enroll(self._collection, examples, create_labels=True).revision
            # A server answers at once and fits in the background; its report waits for the fit.
            client.collection_report(self._collection, min_revision=self._revision)

    def classify(self, inputs: Inputs, top_k: int) -> list[Answer]:
        """Returns an answer to each input. See `Model`."""
        from glimpse.client import Client

        contents, step = self._contents(inputs), max(1, _MOST_ENTRIES // top_k)
        answers = []
        with Client(self._server) as client:
            for start in range(0, len(contents), step):
                # What a person evaluates is not what the collection's callers ask.
                results = client.classify(
                    self._collection,
                    contents[start : start + step],
                    top_k=top_k,
                    evidence=0,
                    min_revision=self._revision,
                    keep=False,
                )
                answers += [result.unwrap() for result in results]
        return [
            Answer(
                answer.label,
                answer.decision.name,
                {each.label: each.probability for each in answer.labels},
            )
            for answer in answers
        ]

    def _contents(self, inputs: Inputs) -> list[Any]:
        from glimpse.client import Vector

        return inputs if isinstance(inputs, list) else [Vector(row, self._space) for row in inputs]
