"""What is nearest to sampled rows, exactly; and how much of it an index found."""

from typing import NamedTuple

import faiss
import numpy as np

from glimpse.index.building.train import thread_count
from glimpse.index.progress import Watch, silent
from glimpse.index.search.flat_index import Ids, Vectors
from glimpse.index.storage.shard_set import Codes, Shards

#: Recall and votes are of so many neighbours.
NEAREST = 10
# Cosines of float16 rows, summed in another order.
_AS_NEAR = 1e-6
_TEMPERATURE = 0.07


class Exact(NamedTuple):
    """Sampled rows as queries, and what is nearest to each but itself."""

    rows: Ids  # (q,)
    queries: Vectors  # (q, d)
    cosines: Vectors  # (q, k), nearest first; -inf where there are fewer
    nearest: Ids  # (q, k); -1 where there are fewer


def exact_nearest(shards: Shards, rows: Ids, k: int = NEAREST, threads: int = 1, progress: Watch = silent) -> Exact:
    """The k nearest of rows, (q,), each itself left out. All vectors pass once; memory is that of a block."""
    queries, at = shards.vectors(rows), 0
    cosines, nearest = np.empty((len(rows), 0), np.float32), np.empty((len(rows), 0), np.int64)
    with progress("exact search", len(shards)) as advance, thread_count(threads):
        for block in shards.blocks():
            near, places = faiss.knn(queries, block, min(k + 1, len(block)), faiss.METRIC_INNER_PRODUCT)
            places = places + at
            near[places == rows[:, None]] = -np.inf
            cosines, nearest = np.hstack([cosines, near]), np.hstack([nearest, places])
            order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
            cosines, nearest = np.take_along_axis(cosines, order, 1), np.take_along_axis(nearest, order, 1)
            at += len(block)
            advance(len(block))
    nearest[np.isneginf(cosines)] = -1
    return Exact(rows, queries, cosines, nearest)


def recall(exact: Exact, found: Ids, shards: Shards) -> float:
    """The part of the exact nearest that is among as many found, (q, k); what is as near as the last counts."""
    there = exact.nearest >= 0
    last = np.where(there, exact.cosines, np.inf).min(1, initial=np.inf)
    hits = (found >= 0) & (found[:, :, None] == exact.nearest[:, None, :]).any(2)
    # Of content that is there many times, others than those that are known may be as near.
    query, place = np.nonzero((found >= 0) & ~hits)
    cosines = np.einsum("ij,ij->i", exact.queries[query], shards.vectors(found[query, place]))
    hits[query, place] = cosines >= last[query] - _AS_NEAR
    return float(hits.sum() / there.sum()) if there.any() else 1.0


def agreement(exact: Exact, cosines: Vectors, found: Ids, codes: Codes) -> float | None:
    """The part of queries whose found neighbours vote for the label that the exact ones vote for.

    None where no query has a neighbour with a label; a query that has none is left out.
    """
    wanted = _votes(exact.cosines, exact.nearest, codes)
    asked = wanted >= 0
    given = _votes(cosines, found, codes)
    return float((given == wanted)[asked].mean()) if asked.any() else None


def _votes(cosines: Vectors, rows: Ids, codes: Codes) -> Codes:
    """(q,): the label with the most of softmax(cosine / 0.07) among the neighbours, (q, k) each; -1 without any."""
    labels = np.where(rows >= 0, codes[rows], -1)
    labelled = np.where(labels >= 0, cosines, -np.inf)
    nearest = labelled.max(1, keepdims=True, initial=-np.inf)
    weights = np.exp((labelled - np.where(np.isneginf(nearest), 0, nearest)) / _TEMPERATURE)
    # Of each neighbour, the votes for its label.
    sums = (weights[:, None, :] * (labels[:, :, None] == labels[:, None, :])).sum(2)
    best = np.where(labels >= 0, sums, -1).argmax(1)
    return np.asarray(np.take_along_axis(labels, best[:, None], 1)[:, 0], np.int32)
