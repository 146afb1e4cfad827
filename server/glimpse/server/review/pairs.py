"""Brings items of a page together that probably have one label, so that one answer names both."""

from collections.abc import Iterator, Sequence

import numpy as np

from glimpse.fewshot.review.proposal import join_ranked
from glimpse.fewshot.statistics.unit_vectors import Rows
from glimpse.ledger import ReviewItem
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.classification.stored_vectors import predict_vectors
from glimpse.server.collections.collection import CollectionView
from glimpse.server.inference.backbones import Backbones
from glimpse.server.review.groups.grouping import Grouping
from glimpse.server.scheduling.background import run_in_background


async def pair_items(
    view: CollectionView,
    items: Sequence[ReviewItem],
    grouping: Grouping,
    neighbors: NeighborSearch,
    backbones: Backbones,
    deadline: float,
) -> list[tuple[int, bool]]:
    """Orders ranked items so that the next of the same group with the same best label follows the first of the two.

    The best label is the one that the collection answers now.

    Args:
        view: The collection.
        items: Items in the order of the ranking.
        grouping: The groups of the collection's items.
        neighbors: Finds examples.
        backbones: The loaded backbones.
        deadline: In time.monotonic() seconds.

    Returns:
        The places of the items in their new order, each with whether it belongs to the one before it.

    Raises:
        RequestError: The names of labels were not embedded in time.
    """
    known = [place for place, item in enumerate(items) if item.embedding_space == view.record.embedding_space]
    joined = b"".join(items[place].vector for place in known)
    vectors = np.frombuffer(joined, "<f4").reshape(len(known), view.record.dimension)
    predictions = await predict_vectors(view, vectors, neighbors, backbones, deadline)
    best = {place: answer.labels[0] for place, answer in zip(known, predictions, strict=True) if answer.labels}
    groups = await run_in_background(lambda: grouping.numbers_of([item.id for item in items]))
    kinds = dict[object, int]()
    # Items without a group or an answer are of no kind but their own.
    keys = [(groups[item.id], best[n]) if item.id in groups and n in best else n for n, item in enumerate(items)]
    numbers: Rows = np.array([kinds.setdefault(key, len(kinds)) for key in keys], np.intp)
    return list(_places(join_ranked(np.arange(len(items)), numbers)))


def _places(parts: Sequence[Rows]) -> Iterator[tuple[int, bool]]:
    for part in parts:
        for number, place in enumerate(part.tolist()):
            yield place, number > 0
