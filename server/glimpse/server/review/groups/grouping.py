"""Groups the items that wait, once, in a thread."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.groups import find_review_groups, graph_neighbors
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows
from glimpse.index import neighbor_graph
from glimpse.server.review.enrolled import EnrolledSample
from glimpse.server.review.waiting import Waiting

#: The most members of a group that are named.
MAX_MEMBERS = 1_000
# The bytes of vectors of one grouping; further items are in no group.
_MAX_VECTOR_BYTES = 256 << 20


def most_items(dimension: int) -> int:
    """Returns how many items of a dimension are grouped."""
    return _MAX_VECTOR_BYTES // (4 * dimension)


@dataclass(frozen=True, slots=True)
class Group:
    """A group, as it was when it was made.

    Attributes:
        item_ids: The ids of its members, at most 1,000, the medoid first, then by their cosine to it.
        size: The number of its members.
        query_count: The queries that they stood for.
        spread: 1 minus the mean cosine of the members to the medoid.
    """

    item_ids: Sequence[str]
    size: int
    query_count: int
    spread: float


@dataclass(frozen=True, slots=True, eq=False)
class Grouping(Sequence[Group]):
    """The groups of a collection's items as of a moment, those with the most queries first.

    Attributes:
        item_ids: The ids of all items, `(N,)` bytes, group by group; a group's medoid first.
        starts: Where each group begins, `(G + 1,)`.
        spreads: The spread of each group, `(G,)`.
        query_counts: The queries of each group, `(G,)`.
        item_count: The items that waited, with those in no group.
        last_sequence: The greatest sequence number among them.
        compute_time: Microseconds since the epoch.
        made: In time.monotonic() seconds.
    """

    item_ids: "npt.NDArray[np.bytes_]"
    starts: Rows
    spreads: Floats
    query_counts: Rows
    item_count: int
    last_sequence: int
    compute_time: int
    made: float

    def __len__(self) -> int:
        return len(self.spreads)

    @overload
    def __getitem__(self, place: int) -> Group: ...

    @overload
    def __getitem__(self, place: slice) -> list[Group]: ...

    def __getitem__(self, place: int | slice) -> Group | list[Group]:
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        start, end = int(self.starts[place]), int(self.starts[place + 1])
        ids = [item_id.decode() for item_id in self.item_ids[start : min(end, start + MAX_MEMBERS)].tolist()]
        return Group(ids, end - start, int(self.query_counts[place]), float(self.spreads[place]))

    def group_of(self, item_id: str) -> Group | None:
        """Returns the group of an item; None if it is in none."""
        places = np.flatnonzero(self.item_ids == item_id.encode())
        return self[int(np.searchsorted(self.starts, places[0], side="right")) - 1] if len(places) else None

    def numbers_of(self, item_ids: Sequence[str]) -> dict[str, int]:
        """Returns the numbers of the groups of those items that are in one, by their ids."""
        places = np.flatnonzero(np.isin(self.item_ids, np.array([item_id.encode() for item_id in item_ids], "S16")))
        numbers = np.searchsorted(self.starts, places, side="right") - 1
        return {
            item_id.decode(): number
            for item_id, number in zip(self.item_ids[places].tolist(), numbers.tolist(), strict=True)
        }


def make_grouping(waiting: Waiting, enrolled: EnrolledSample) -> Grouping:
    """Groups items; the enrolled examples say where to cut.

    Args:
        waiting: The items.
        enrolled: Examples with labels.
    """
    now, items = time.time_ns() // 1_000, waiting.known
    count, last = len(items) + len(waiting.rest), waiting.last_sequence
    if not items:
        none = np.empty(0, np.intp)
        empty = np.empty(0, "S16"), np.zeros(1, np.intp), np.empty(0), none
        return Grouping(*empty, count, last, now, time.monotonic())
    points = waiting.vectors
    try:
        vectors, references = np.concatenate([points, enrolled.read()]), enrolled.references
    except KeyError:  # an example was deleted since; density says where to cut
        vectors, references = points, None
    graph = neighbor_graph(vectors, graph_neighbors(len(vectors)))
    groups = find_review_groups(vectors, graph.neighbors, graph.cosines, references)
    numbers, medoids = groups.numbers, groups.medoids
    query_counts = np.bincount(numbers, [item.count for item in items], len(medoids)).astype(np.intp)
    by_queries = np.argsort(-query_counts, kind="stable")
    places = np.empty(len(by_queries), np.intp)
    places[by_queries] = np.arange(len(by_queries))
    cosines = np.einsum("ij,ij->i", points, points[medoids[numbers]])
    cosines[medoids] = 2.0  # before any copy of it
    order = np.lexsort((-cosines, places[numbers]))
    starts = np.concatenate([[0], np.cumsum(groups.sizes[by_queries])]).astype(np.intp)
    ids = np.array([item.id.encode() for item in items], "S16")[order]
    parts = ids, starts, groups.spreads[by_queries], query_counts[by_queries]
    return Grouping(*parts, count, last, now, time.monotonic())
