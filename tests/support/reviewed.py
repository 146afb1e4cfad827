"""Calls of ReviewService, and collections whose queries are kept."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from support.server import Stubs
from support.vector_collection import ROWS, Array, D, Vectors, blobs, named
from support.wait import soon

EVERYTHING = col.ReviewPolicy(keep_unknown=True, keep_ambiguous=True, match_rate=1, keep_inputs=True)


class Reviewed(Vectors):
    """A collection of four labels that keeps its queries."""

    def __init__(self, stubs: Stubs, policy: col.ReviewPolicy = EVERYTHING, **fields: object) -> None:
        super().__init__(stubs, review_policy=policy, **fields)
        self.enroll(blobs(ROWS), named(ROWS), measure=True)

    def items(self, count: int | None = None, **fields: Any) -> list[rev.ReviewItem]:
        """Returns the items of one page, once there are `count`. `fields` are set in the request."""

        def listed() -> list[rev.ReviewItem]:
            request = rev.ListReviewItemsRequest(parent=self.name, page_size=1000, **fields)
            return list(self.stubs.review.ListReviewItems(request).items)

        return listed() if count is None else self.until(lambda items: len(items) == count, listed)

    def until(
        self, wanted: Callable[[list[rev.ReviewItem]], bool], listed: Callable[[], list[rev.ReviewItem]] | None = None
    ) -> list[rev.ReviewItem]:
        """Returns the items once they are as wanted."""
        found: list[list[rev.ReviewItem]] = [[]]

        def look() -> bool:
            found[0] = (listed or self.items)()
            return wanted(found[0])

        soon(look)
        return found[0]

    def resolve(self, names: Sequence[str], **fields: Any) -> rev.ResolveReviewItemsResponse:
        """Resolves items; `fields` say as what."""
        request = rev.ResolveReviewItemsRequest(parent=self.name, names=names, **fields)
        response: rev.ResolveReviewItemsResponse = self.stubs.review.ResolveReviewItems(request)
        return response

    def undo(self, resolution: str) -> rev.UndoReviewResponse:
        """Takes a resolution back."""
        response: rev.UndoReviewResponse = self.stubs.review.UndoReview(rev.UndoReviewRequest(name=resolution))
        return response

    def groups(self, **fields: Any) -> rev.ListReviewGroupsResponse:
        """Returns the first page of groups."""
        request = rev.ListReviewGroupsRequest(parent=self.name, **fields)
        response: rev.ListReviewGroupsResponse = self.stubs.review.ListReviewGroups(request)
        return response

    def summary(self) -> rev.GetReviewSummaryResponse:
        """Returns the summary."""
        response: rev.GetReviewSummaryResponse = self.stubs.review.GetReviewSummary(
            rev.GetReviewSummaryRequest(name=self.name)
        )
        return response


def unlike_all(count: int = D) -> Array:
    """Returns vectors that are like no label and not like each other, `(count, D)`."""
    return np.eye(D, dtype=np.float32)[:count]


class Ready:
    """Collections in which items wait. Several are made at a time, because a server writes its queue once a second."""

    def __init__(self, stubs: Stubs, vectors: Array, at_once: int = 4) -> None:
        """Each collection has classified `vectors`, `(n, D)`."""
        self._stubs, self._vectors, self._at_once = stubs, vectors, at_once
        self._ready: list[Reviewed] = []

    def take(self) -> Reviewed:
        """Returns one that no test has used."""
        if not self._ready:
            self._ready = [Reviewed(self._stubs) for _ in range(self._at_once)]
            for reviewed in self._ready:
                reviewed.classify(self._vectors)
            for reviewed in self._ready:
                reviewed.until(lambda items: sum(item.count for item in items) == len(self._vectors))
        return self._ready.pop()
