"""Rates on real traffic, estimated from a collection's sample of queries."""

import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import Decision
from glimpse.fewshot.review.traffic import Estimate, Stratum, estimate_rate
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.ledger import ReviewSample
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.classification.stored_vectors import predict_vectors
from glimpse.server.collections.collection import CollectionView
from glimpse.server.inference.backbones import Backbones
from glimpse.server.proto_enums import DECISIONS
from glimpse.v1 import collection_service_pb2 as pb

_OF_NUMBERS: dict[int, Decision] = {number: decision for decision, number in DECISIONS.items()}


@dataclass(frozen=True, slots=True)
class Sample:
    """A collection's sample: what the queries got, and the vectors of those that are still unknown to the collection.

    A query that was enrolled since says nothing about new ones, so `open` leaves it out.
    """

    rows: Sequence[ReviewSample]
    open: Sequence[ReviewSample]

    @property
    def vectors(self) -> Array:
        """The vectors of the open queries, `(n, d)`."""
        return np.stack([np.frombuffer(row.vector, "<f4") for row in self.open])


class TrafficRates:
    """Estimates rates. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog, neighbors: NeighborSearch, backbones: Backbones) -> None:
        """Reads samples through `catalog`."""
        self._catalog, self._neighbors, self._backbones = catalog, neighbors, backbones

    async def sample(self, view: CollectionView, without: Container[str] = ()) -> Sample:
        """Reads the collection's sample, as far as it is of its embedding space.

        Args:
            view: The collection.
            without: Review items whose queries are about to be enrolled.

        Raises:
            LedgerError: The ledger is unavailable.
        """
        now = time.time_ns() // 1_000
        read = await self._catalog.read(lambda ledger: ledger.review.samples(view.record.id))
        space = view.record.embedding_space
        rows = [row for row in read if row.embedding_space == space and row.expire_time > now]
        known = [row for row in rows if row.resolved_label_id is None and row.item_id not in without]
        return Sample(rows, known)

    async def unknown_now(self, view: CollectionView, sample: Sample, deadline: float) -> Estimate | None:
        """Estimates the part of queries that would be UNKNOWN now; None without a sample.

        Those that were enrolled count as the others of the same decision, which stand for them.

        Raises RequestError.
        """
        if not sample.open:
            return None
        answers = await predict_vectors(view, sample.vectors, self._neighbors, self._backbones, deadline)
        unknown = {
            row.id: answer.decision is Decision.UNKNOWN for row, answer in zip(sample.open, answers, strict=True)
        }
        return _rate(sample.rows, [unknown.get(row.id) for row in sample.rows])

    def unknown_before(self, sample: Sample) -> Estimate | None:
        """Estimates the part of queries that were UNKNOWN when they came; None without a sample."""
        return _rate(sample.rows, [_OF_NUMBERS.get(row.decision) is Decision.UNKNOWN for row in sample.rows])

    def accuracy(self, view: CollectionView, sample: Sample) -> Estimate | None:
        """Estimates how often the answer was right; None if no query of the sample was resolved.

        Queries from before the collection had a label do not count: nothing could be answered.
        """
        rows = [row for row in sample.rows if row.label_id]
        return _rate(rows, [_is_right(view, row) for row in rows])


def _is_right(view: CollectionView, row: ReviewSample) -> bool | None:
    """Returns whether a query got the right answer; None if it was not resolved, or its label is deleted since.

    Where no label was right, the right answer was UNKNOWN: for a negative, and before the label existed.
    """
    label = view.labels.get(row.resolved_label_id or "")
    if label is None:
        return None
    if label.role == pb.LABEL_ROLE_NEGATIVE or label.create_time > row.create_time:
        return _OF_NUMBERS.get(row.decision) is Decision.UNKNOWN
    return row.label_id == label.id


def _rate(rows: Sequence[ReviewSample], properties: Iterable[bool | None]) -> Estimate | None:
    """Estimates how often a property holds, weighted by how many queries each row stands for.

    The strata are the decisions. Their sizes add up to (Σ w)² / Σ w², the number of queries whose shares would be as
    uncertain as those of the weighted rows (Kish 1965).
    """
    weights = np.zeros(len(Decision))
    answered, positive = dict.fromkeys(Decision, 0), dict.fromkeys(Decision, 0)
    order, squares = list(Decision), 0.0
    for row, holds in zip(rows, properties, strict=True):
        if (decision := _OF_NUMBERS.get(row.decision)) is None:
            continue
        weights[order.index(decision)] += row.weight
        squares += row.weight**2
        answered[decision] += holds is not None
        positive[decision] += holds is True
    if not squares:
        return None
    sizes = np.maximum(1, np.round(weights * weights.sum() / squares)).astype(int) * (weights > 0)
    strata = [
        Stratum(size, answered[decision], positive[decision])
        for decision, size in zip(order, sizes.tolist(), strict=True)
        if size
    ]
    return estimate_rate(strata)
