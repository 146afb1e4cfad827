"""Builds the requests for kept inputs: those of review items, and the originals of examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from glimpse.client.requests._names import CollectionRef, Names, collection_name, names
from glimpse.client.results._parse_review import kept_input
from glimpse.client.results._review import KeptInput
from glimpse.client.transport._steps import Unary
from glimpse.v1 import collection_service_pb2 as collection_pb
from glimpse.v1 import review_service_pb2 as review_pb

_CONTENTS = 256  # The largest number of inputs of a request.


@dataclass(frozen=True, slots=True)
class KeptInputs:
    """Kept inputs by their names, in as many requests as the bounds of an answer require.

    Attributes:
        rpc: The method, as `service.Method`.
        names: Full names of examples or items.
        request: Builds the request for some of the names.
    """

    rpc: str
    names: Sequence[str]
    request: Callable[[Sequence[str]], Any]

    def page(self, token: str) -> Unary[tuple[list[KeptInput], str]]:
        """Returns the call for the inputs from the position `token` on. An empty token stands for the first one."""
        start = int(token or 0)

        def read(response: Any) -> tuple[list[KeptInput], str]:
            contents = [kept_input(message) for message in response.contents]
            end = start + _answered(contents)
            return contents[: end - start], str(end) if end < len(self.names) else ""

        return Unary(self.rpc, self.request(self.names[start : start + _CONTENTS]), read)


def _answered(contents: Sequence[KeptInput]) -> int:
    """Returns how many of the first contents are final. The next one had no room, so it is asked for again."""
    for position, content in enumerate(contents):
        if position and content.error is not None and content.error.reason == "ANSWER_TOO_LARGE":
            return position
    return len(contents)


def list_review_content(collection: CollectionRef, items: Names, thumbnail_size: int) -> KeptInputs:
    """Builds the requests of GetReviewContent."""
    parent = collection_name(collection)
    return KeptInputs(
        "review.GetReviewContent",
        names(items),
        lambda some: review_pb.GetReviewContentRequest(parent=parent, names=some, thumbnail_size=thumbnail_size),
    )


def list_example_content(collection: CollectionRef, examples: Names, thumbnail_size: int) -> KeptInputs:
    """Builds the requests of BatchGetExampleContent."""
    parent = collection_name(collection)
    return KeptInputs(
        "collections.BatchGetExampleContent",
        names(examples),
        lambda some: collection_pb.BatchGetExampleContentRequest(
            parent=parent, names=some, thumbnail_size=thumbnail_size
        ),
    )
