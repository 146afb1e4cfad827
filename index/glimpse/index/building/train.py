"""A FAISS index of the rows of shards: trained on a sample, filled block by block."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np

from glimpse.index.building.index_selection import CAGRA, gpus, layers
from glimpse.index.errors import said
from glimpse.index.faiss_validation.validator import readable
from glimpse.index.progress import Watch, silent
from glimpse.index.search import gpu as on_gpu
from glimpse.index.search.flat_index import Vectors
from glimpse.index.storage.shard_set import Shards

# The generated types lack a name or two.
_faiss: Any = faiss

# About the least that FAISS asks for (39): k-means takes much of the time of building.
_TRAINED_PER_LIST, _ROUNDS = 40, 6
# Without lists: ranges of coordinates, or 256 centres of some of them, are known from these.
_TRAINED = 65_536
_MOST_TRAINED_BYTES = 1 << 30
_SEED = 1
#: Trains and fills an index: of shards, a factory string and threads.
Make = Callable[[Shards, str, int, Watch], Any]


def make_index(
    shards: Shards, factory: str, threads: int = 1, progress: Watch = silent, gpu: bool | None = None
) -> Any:
    """Trains and fills. Memory is that of the index, of the sample (a gigabyte at most) and of a block.

    The same shards and threads make the same index on the same kind of machine, but for an HNSW: what several threads
    add at once may find each other in another order. Without rows it is a flat one, as there is nothing to train on.

    Args:
        shards: rows become ids.
        factory: of FAISS; by inner product. Or `kinds.CAGRA`.
        threads: of FAISS and its BLAS.
        progress: is told of.
        gpu: whether to train and to assign on GPUs; None: where there are some.

    Raises:
        RuntimeError: FAISS cannot make it, or not of so few rows.
    """
    if not len(shards):
        return faiss.IndexFlatIP(shards.dimension)
    if factory == CAGRA:
        return _graph(shards, progress)
    gpu = gpus() > 0 if gpu is None else gpu
    with progress("training", 1) as advance:
        index = trained_empty(shards, factory, threads, gpu)
        advance(1)
    with progress("adding", len(shards)) as advance:
        fill(index, shards.blocks(), threads, advance, gpu)
    return index


def trained_empty(shards: Shards, factory: str, threads: int = 1, gpu: bool = False) -> Any:
    """An index trained on a sample of the rows, and with none of them. Raises RuntimeError."""
    index = untrained(shards.dimension, factory)
    if index.is_trained:
        return index
    wanted, lists = _TRAINED, _lists(index)
    for quiet in _clusterings(index):
        # Fewer than FAISS likes are no reason to write to stderr.
        quiet.min_points_per_centroid = 1
    if lists is not None:
        lists.cp.niter, lists.cp.seed = _ROUNDS, _SEED
        wanted = max(wanted, _TRAINED_PER_LIST * lists.nlist)
    sample = _sample(shards, min(wanted, _MOST_TRAINED_BYTES // (4 * shards.dimension)))
    clustered = on_gpu.nearest_centre(None, lists.d) if gpu and lists is not None else None
    with thread_count(threads):
        if clustered is not None:
            lists.clustering_index = clustered
        try:
            index.train(sample)
        finally:
            if clustered is not None:
                lists.clustering_index = None
    return index


def untrained(dimension: int, factory: str) -> Any:
    """What FAISS makes of a factory string, before it has seen a vector. Raises RuntimeError where that is nothing."""
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise RuntimeError(f"FAISS has no {factory} by inner product")
    if any(isinstance(layer, _faiss.IndexIDMap | _faiss.IndexIDMap2) for layer in layers(index)):
        raise RuntimeError("rows are numbered from 0, and need no IDMap")
    return index


def check_factory(dimension: int, factory: str) -> None:
    """Whether there is such a type at all; a few rows may still be too few for it. Raises RuntimeError."""
    try:
        if factory != CAGRA:
            if not readable(untrained(dimension, factory)):
                raise RuntimeError("such an index could be written, but is not opened: its file cannot be checked")
        elif not (gpus() and hasattr(faiss, "GpuIndexCagra")):
            raise RuntimeError("it needs a GPU, and a FAISS with cuVS")
    except RuntimeError as error:
        raise RuntimeError(f"FAISS cannot make {factory}: {said(error)}") from None


def fill(
    index: Any,
    blocks: Iterable[Vectors],
    threads: int = 1,
    advance: Callable[[int], object] = lambda count: None,
    gpu: bool = False,
) -> None:
    """Adds blocks, (n, d) each. Other blocks of the same rows may, by rounding, put a row into another list."""
    lists, centres = _lists(index), None
    if gpu and lists is not None:
        centres = on_gpu.nearest_centre(lists.quantizer.reconstruct_n(0, lists.nlist), lists.d)
    with thread_count(threads):
        for block in blocks:
            if centres is None:
                index.add(block)
            else:
                on_gpu.add_assigned(index, block, centres)
            advance(len(block))


def can_merge(index: Any) -> bool:
    """Whether `merge_into` makes of parts what filling one after the other does.

    A graph does not. Nor do codes packed for fast scanning ("x4fs"): what pads their blocks differs, and FAISS's
    BlockInvertedLists.add_entries copies past the end where a list holds a multiple of its block's bytes.
    """
    index = faiss.downcast_index(index)
    if isinstance(index, _faiss.IndexRefine):
        return can_merge(index.base_index) and can_merge(index.refine_index)
    if isinstance(index, _faiss.IndexPreTransform):
        return can_merge(index.index)
    if isinstance(index, _faiss.IndexIVF):
        return not isinstance(index, _faiss.IndexIVFFastScan)
    return isinstance(index, _faiss.IndexFlatCodes)


def merge_into(index: Any, parts: Iterable[Any]) -> None:
    """Moves the rows of parts behind those of an index that `can_merge`, in order; parts are empty afterwards.

    All are of one `trained_empty`. RuntimeError where FAISS finds that they are not.
    """
    for part in parts:
        _merge(faiss.downcast_index(index), faiss.downcast_index(part))


def faiss_bytes(index: Any) -> Vectors:
    """An index as bytes, (n,), to be sent to another process."""
    return np.asarray(faiss.serialize_index(index))


def from_bytes(given: Any) -> Any:
    """An index of what `faiss_bytes` gave."""
    return faiss.deserialize_index(np.asarray(given))


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Of what FAISS does from this thread: OpenMP keeps the number by thread, and FAISS's BLAS follows it."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _merge(index: Any, part: Any) -> None:
    if isinstance(index, _faiss.IndexRefine):
        _merge(faiss.downcast_index(index.base_index), faiss.downcast_index(part.base_index))
        _merge(faiss.downcast_index(index.refine_index), faiss.downcast_index(part.refine_index))
        index.ntotal, part.ntotal = index.refine_index.ntotal, 0
    elif isinstance(index, _faiss.IndexPreTransform):
        _merge(faiss.downcast_index(index.index), faiss.downcast_index(part.index))
        index.ntotal, part.ntotal = index.index.ntotal, 0
    else:
        # Lists name their rows; elsewhere the place is the name.
        index.merge_from(part, index.ntotal if isinstance(index, _faiss.IndexIVF) else 0)


def _graph(shards: Shards, progress: Watch) -> Any:
    """All vectors are in memory as float16."""
    vectors, at = np.empty((len(shards), shards.dimension), np.float16), 0
    with progress("adding", len(shards)) as advance:
        for block in shards.blocks():
            vectors[at : at + len(block)] = block
            at += len(block)
            advance(len(block))
    return on_gpu.make_graph(vectors)


def _lists(index: Any) -> Any:
    """The layer with lists, or None."""
    return next((layer for layer in layers(index) if isinstance(layer, _faiss.IndexIVF)), None)


def _clusterings(index: Any) -> Iterator[Any]:
    """The settings of every k-means within."""
    for layer in layers(index):
        for part in (layer, getattr(layer, "pq", None)):
            if part is not None and hasattr(part, "cp"):
                yield part.cp


def _sample(shards: Shards, count: int) -> Vectors:
    rows = np.arange(len(shards))
    if count < len(rows):
        rows = np.sort(np.random.default_rng(_SEED).choice(len(rows), count, replace=False))
    return shards.vectors(rows)
