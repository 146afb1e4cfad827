"""How well an index finds what is nearest, beside exact search; and its search parameters raised until it does."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import faiss
import numpy as np

from glimpse.index.building.ground_truth import NEAREST, Exact, agreement, exact_nearest, recall
from glimpse.index.building.index_selection import layers
from glimpse.index.building.train import thread_count
from glimpse.index.faiss_validation.faiss_io import file_bytes
from glimpse.index.progress import Watch, silent
from glimpse.index.search.flat_index import Ids, Vectors
from glimpse.index.storage.manifest import Measured, Search
from glimpse.index.storage.shard_set import Codes, Shards

# The generated types lack a name or two.
_faiss: Any = faiss

_QUERIES = 500
_TIMED, _TIMED_BATCHES, _BATCH = 100, 9, 64
_SEED = 1


class _Knob(NamedTuple):
    """A search parameter: where it is, what it starts from, and how far it goes."""

    owner: Any
    name: str
    least: float
    most: float
    step: float

    @property
    def value(self) -> float:
        return float(getattr(self.owner, self.name))

    @property
    def next(self) -> float:
        return min(self.most, float(round(self.value * self.step)))

    def turn(self, value: float) -> None:
        setattr(self.owner, self.name, value if self.name == "k_factor" else int(value))


def tune(
    index: Any, shards: Shards, codes: Codes, min_recall: float = 0.95, threads: int = 1, progress: Watch = silent
) -> tuple[Search, Measured | None]:
    """Sets in the index the least search parameters that have the recall, or the most there are, and measures so.

    Up to 500 sampled rows are queries, each itself left out. The same index and shards get the same parameters.

    Args:
        index: of the rows of `shards`.
        shards: what is exact.
        codes: of each row's label, (N,); -1 none.
        min_recall: recall@10.
        threads: for exact search and to find the parameters. Latency is that of one thread.
        progress: is told of.

    Returns:
        What is set, and what was measured; None of an index without rows.
    """
    knobs = _knobs(index)
    for knob in knobs:
        knob.turn(knob.least)
    if not len(shards):
        return _search(knobs), None
    rows = np.sort(np.random.default_rng(_SEED).choice(len(shards), min(_QUERIES, len(shards)), replace=False))
    exact = exact_nearest(shards, rows, threads=threads, progress=progress)
    with progress("search parameters", 1) as advance, thread_count(threads):
        reached = _raise(knobs, lambda: recall(exact, _found(index, exact)[1], shards), min_recall)
        advance(1)
    return _search(knobs), measure(index, exact, shards, codes, min_recall, reached)


def measure(index: Any, exact: Exact, shards: Shards, codes: Codes, min_recall: float, reached: bool) -> Measured:
    """Recall, votes and latency, with one thread, as the index is."""
    with thread_count(1):
        cosines, found = _found(index, exact)
        return Measured(
            queries=len(exact.rows),
            recall_at_10=recall(exact, found, shards),
            vote_agreement=agreement(exact, cosines, found, codes),
            batch_1_ms=_median_ms(index, exact.queries, 1, _TIMED),
            batch_64_ms=_median_ms(index, exact.queries, _BATCH, _TIMED_BATCHES),
            threads=1,
            bytes_per_vector=file_bytes(index) / index.ntotal,
            min_recall=min_recall,
            reached=reached,
        )


def _found(index: Any, exact: Exact) -> tuple[Vectors, Ids]:
    """(q, 10) each: what the index finds, but for the query's own row."""
    cosines, rows = index.search(exact.queries, NEAREST + 1)
    # Where it is not found, the last goes.
    order = np.argsort(rows == exact.rows[:, None], axis=1, kind="stable")[:, :NEAREST]
    return np.take_along_axis(cosines, order, 1), np.take_along_axis(rows, order, 1)


def _knobs(index: Any) -> list[_Knob]:
    found = []
    for layer in layers(index):
        if isinstance(layer, _faiss.IndexRefine):
            found.append(_Knob(layer, "k_factor", 4, 128, 2))
        elif isinstance(layer, _faiss.IndexIVF):
            found.append(_Knob(layer, "nprobe", min(layer.nlist, max(8, layer.nlist // 64)), layer.nlist, 1.5))
        elif isinstance(layer, _faiss.IndexHNSW):
            found.append(_Knob(layer.hnsw, "efSearch", 32, 2048, 1.5))
    return found


def _raise(knobs: list[_Knob], measured: Callable[[], float], wanted: float) -> bool:
    """Turns up, each time, the one that finds the more by it; False: all are at their most, and it is not enough."""
    reached = measured()
    while reached < wanted:
        gains = []
        for knob in knobs:
            before = knob.value
            if before < knob.most:
                knob.turn(knob.next)
                gains.append((measured(), knob, knob.value))
                knob.turn(before)
        if not gains:
            return False
        reached, best, value = max(gains, key=lambda gain: gain[0])
        best.turn(value)
    return True


def _search(knobs: list[_Knob]) -> Search:
    fields = {"k_factor": "k_factor", "nprobe": "nprobe", "efSearch": "ef_search"}
    return Search.model_validate({fields[knob.name]: knob.value for knob in knobs})


def _median_ms(index: Any, queries: Vectors, batch: int, times: int) -> float:
    """Of a call with so many; the first is not counted."""
    taken = []
    for i in range(times + 1):
        rows = queries[np.arange(i * batch, (i + 1) * batch) % len(queries)]
        started = time.perf_counter()
        index.search(rows, NEAREST)
        taken.append(1e3 * (time.perf_counter() - started))
    return float(np.median(taken[1:]))
