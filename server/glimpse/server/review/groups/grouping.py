"""Groups the items that wait, once, in a thread."""

import secrets
import time
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """The groups of a collection's items as of a moment, those with the most queries first.

    Attributes:
        id: Random.
        item_ids: The ids of all items, `(N,)` bytes, group by group; a group's medoid first.
        starts: Where each group begins, `(G + 1,)`.
        spreads: The spread of each group, `(G,)`.
        query_counts: The queries of each group, `(G,)`.
        count: The items that waited, with those in no group.
        last_sequence: The greatest sequence number among them.
        compute_time: Microseconds since the epoch.
        made: In time.monotonic() seconds.
    """

    id: str
    item_ids: "npt.NDArray[np.bytes_]"
    starts: Rows
    spreads: Floats
    query_counts: Rows
    count: int
    last_sequence: int
    compute_time: int
    made: float

    def __len__(self) -> int:
        return len(self.spreads)

    def size(self, group: int) -> int:
        """Returns the number of a group's members."""
        return int(self.starts[group + 1] - self.starts[group])

    def members(self, group: int) -> list[str]:
        """Returns the ids of a group's members, at most 1,000, the medoid first, then by their cosine to it."""
        start, end = int(self.starts[group]), int(self.starts[group + 1])
        return [item_id.decode() for item_id in self.item_ids[start : min(end, start + MAX_MEMBERS)].tolist()]

    def group_of(self, item_id: str) -> int | None:
        """Returns the group of an item; None if it is in none."""
        places = np.flatnonzero(self.item_ids == item_id.encode())
        return int(np.searchsorted(self.starts, places[0], side="right")) - 1 if len(places) else None


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
        return Grouping(secrets.token_hex(8), *empty, count, last, now, time.monotonic())
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
    return Grouping(secrets.token_hex(8), *parts, count, last, now, time.monotonic())
