"""Measures an index against exact search, and raises its search parameters until its recall suffices."""

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
from glimpse.index.storage.manifest import Measured, Search
from glimpse.index.storage.shard_set import Codes, Shards
from glimpse.index.types import Ids, Vectors

# FAISS's type stubs lack some names.
_faiss: Any = faiss

_QUERIES = 500
_SINGLE_RUNS, _BATCH_RUNS, _BATCH = 100, 9, 64
_SEED = 1


class _Parameter(NamedTuple):
    """A search parameter of one layer, with its smallest and largest value and the factor of a step."""

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

    def set(self, value: float) -> None:
        setattr(self.owner, self.name, value if self.name == "k_factor" else int(value))


def tune(
    index: Any,
    shards: Shards,
    codes: Codes,
    min_recall: float = 0.95,
    threads: int = 1,
    progress: Watch = silent,
    size: int | None = None,
) -> tuple[Search, Measured | None]:
    """Sets the smallest search parameters that reach the recall, or the largest there are, and measures the index.

    Up to 500 sampled rows are queries; each row itself is left out of its results. The same index and shards get the
    same parameters.

    Args:
        index: an index of the rows of `shards`; changed.
        shards: the exact rows.
        codes: label code of each row, (N,); -1 for none.
        min_recall: recall@10.
        threads: threads for exact search and for finding the parameters. Latency is measured with one thread.
        progress: reports progress.
        size: bytes of the index's file; None to count them, which reads the whole index.

    Returns:
        The parameters set, and the measurements; None for an index without rows.
    """
    parameters = _parameters(index)
    for parameter in parameters:
        parameter.set(parameter.least)
    if not len(shards):
        return _search(parameters), None
    rows = np.sort(np.random.default_rng(_SEED).choice(len(shards), min(_QUERIES, len(shards)), replace=False))
    exact = exact_nearest(shards, rows, threads=threads, progress=progress)
    with progress("search parameters", 1) as advance, thread_count(threads):
        reached = _raise(parameters, lambda: recall(exact, _found(index, exact)[1], shards), min_recall)
        advance(1)
    size = size or file_bytes(index)
    return _search(parameters), measure(index, exact, shards, codes, min_recall, reached, size)


def copy_parameters(tuned: Any, index: Any) -> None:
    """Sets the search parameters of an index to those of another one of the same type."""
    for parameter, value in zip(_parameters(index), _parameters(tuned), strict=True):
        parameter.set(value.value)


def measure(
    index: Any, exact: Exact, shards: Shards, codes: Codes, min_recall: float, reached: bool, size: int
) -> Measured:
    """Measures recall, agreement of votes and latency of an index as it is, with one thread."""
    with thread_count(1):
        cosines, found = _found(index, exact)
        return Measured(
            queries=len(exact.rows),
            recall_at_10=recall(exact, found, shards),
            vote_agreement=agreement(exact, cosines, found, codes),
            batch_1_ms=_median_ms(index, exact.queries, 1, _SINGLE_RUNS),
            batch_64_ms=_median_ms(index, exact.queries, _BATCH, _BATCH_RUNS),
            threads=1,
            bytes_per_vector=size / index.ntotal,
            min_recall=min_recall,
            reached=reached,
        )


def _found(index: Any, exact: Exact) -> tuple[Vectors, Ids]:
    """Returns cosines and rows that the index finds, (q, 10) each, without the query's own row."""
    cosines, rows = index.search(exact.queries, NEAREST + 1)
    # If the own row is not found, the last result is dropped.
    order = np.argsort(rows == exact.rows[:, None], axis=1, kind="stable")[:, :NEAREST]
    return np.take_along_axis(cosines, order, 1), np.take_along_axis(rows, order, 1)


def _parameters(index: Any) -> list[_Parameter]:
    parameters = []
    for layer in layers(index):
        if isinstance(layer, _faiss.IndexRefine):
            parameters.append(_Parameter(layer, "k_factor", 4, 128, 2))
        elif isinstance(layer, _faiss.IndexIVF):
            parameters.append(
                _Parameter(layer, "nprobe", min(layer.nlist, max(8, layer.nlist // 64)), layer.nlist, 1.5)
            )
        elif isinstance(layer, _faiss.IndexHNSW):
            parameters.append(_Parameter(layer.hnsw, "efSearch", 32, 2048, 1.5))
    return parameters


def _raise(parameters: list[_Parameter], measured: Callable[[], float], wanted: float) -> bool:
    """Raises the parameter that improves recall most, step by step; returns False if all are at their maximum."""
    reached = measured()
    while reached < wanted:
        gains = []
        for parameter in parameters:
            before = parameter.value
            if before < parameter.most:
                parameter.set(parameter.next)
                gains.append((measured(), parameter, parameter.value))
                parameter.set(before)
        if not gains:
            return False
        reached, best, value = max(gains, key=lambda gain: gain[0])
        best.set(value)
    return True


def _search(parameters: list[_Parameter]) -> Search:
    fields = {"k_factor": "k_factor", "nprobe": "nprobe", "efSearch": "ef_search"}
    return Search.model_validate({fields[parameter.name]: parameter.value for parameter in parameters})


def _median_ms(index: Any, queries: Vectors, batch: int, times: int) -> float:
    """Returns the median time of a call with `batch` queries, in milliseconds; the first call is not counted."""
    times_ms = []
    for i in range(times + 1):
        rows = queries[np.arange(i * batch, (i + 1) * batch) % len(queries)]
        started = time.perf_counter()
        index.search(rows, NEAREST)
        times_ms.append(1e3 * (time.perf_counter() - started))
    return float(np.median(times_ms[1:]))
