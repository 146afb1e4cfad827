"""Exact nearest neighbours of sampled rows, and the share of them that an index finds."""

from typing import NamedTuple

import faiss
import numpy as np

from glimpse.index.building.train import thread_count
from glimpse.index.progress import Watch, silent
from glimpse.index.storage.shard_set import Codes, Shards
from glimpse.index.types import Ids, Vectors

#: Number of neighbours for recall and votes.
NEAREST = 10
# Tolerance for cosines of float16 rows that are summed in another order.
_TOLERANCE = 1e-6
_TEMPERATURE = 0.07


class Exact(NamedTuple):
    """Sampled rows as queries, with the nearest rows of each except itself."""

    rows: Ids  # (q,)
    queries: Vectors  # (q, d)
    cosines: Vectors  # (q, k), nearest first; -inf if there are fewer
    nearest: Ids  # (q, k); -1 if there are fewer


def exact_nearest(shards: Shards, rows: Ids, k: int = NEAREST, threads: int = 1, progress: Watch = silent) -> Exact:
    """Finds the k nearest of each sampled row, without the row itself, in one pass over all vectors.

    Args:
        shards: all rows.
        rows: the sampled rows, (q,).
        k: neighbours per row.
        threads: threads of FAISS.
        progress: reports progress.
    """
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
    """Returns the share of exact neighbours that are among the rows found, (q, k).

    A row as near as the last exact neighbour counts too.
    """
    present = exact.nearest >= 0
    last = np.where(present, exact.cosines, np.inf).min(1, initial=np.inf)
    hits = (found >= 0) & (found[:, :, None] == exact.nearest[:, None, :]).any(2)
    # Copies of the same content may be as near as the known neighbours.
    query, place = np.nonzero((found >= 0) & ~hits)
    cosines = np.einsum("ij,ij->i", exact.queries[query], shards.vectors(found[query, place]))
    hits[query, place] = cosines >= last[query] - _TOLERANCE
    return float(hits.sum() / present.sum()) if present.any() else 1.0


def agreement(exact: Exact, cosines: Vectors, found: Ids, codes: Codes) -> float | None:
    """Returns the share of queries whose neighbours vote for the same label as the exact neighbours.

    Queries without a labelled neighbour are left out; returns None if none is left.
    """
    wanted = _votes(exact.cosines, exact.nearest, codes)
    voted = wanted >= 0
    actual = _votes(cosines, found, codes)
    return float((actual == wanted)[voted].mean()) if voted.any() else None


def _votes(cosines: Vectors, rows: Ids, codes: Codes) -> Codes:
    """Returns the label, (q,), with the most of softmax(cosine / 0.07) among neighbours, (q, k); -1 without labels."""
    labels = np.where(rows >= 0, codes[rows], -1)
    labelled = np.where(labels >= 0, cosines, -np.inf)
    nearest = labelled.max(1, keepdims=True, initial=-np.inf)
    weights = np.exp((labelled - np.where(np.isneginf(nearest), 0, nearest)) / _TEMPERATURE)
    # The votes for each neighbour's label.
    sums = (weights[:, None, :] * (labels[:, :, None] == labels[:, None, :])).sum(2)
    best = np.where(labels >= 0, sums, -1).argmax(1)
    return np.asarray(np.take_along_axis(labels, best[:, None], 1)[:, 0], np.int32)
