"""Trains a FAISS index on a sample of the rows of shards, and fills it block by block."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from glimpse.index.building.index_selection import CAGRA, layers
from glimpse.index.errors import faiss_message
from glimpse.index.faiss_validation.validator import readable
from glimpse.index.progress import Watch, silent
from glimpse.index.search import gpu as on_gpu
from glimpse.index.search.cuda import gpu_count
from glimpse.index.types import Vectors

if TYPE_CHECKING:
    from glimpse.index.storage.shard_set import Shards

# FAISS's type stubs lack some names.
_faiss: Any = faiss

# About the minimum that FAISS asks for (39); k-means takes much of the build time.
_TRAINED_PER_LIST, _ROUNDS = 40, 6
# Sample size without lists: enough for ranges of coordinates, or for 256 centres of some of them.
_TRAINED = 65_536
_MAX_TRAINING_BYTES = 1 << 30
# Candidates for the links of a new node of a graph; FAISS's default is 40. With 200,000 clustered vectors of 512
# coordinates a graph of 40 finds 0.92 of the nearest with 64 search candidates, and needs 2.1 ms for 0.97; one of 160
# finds 0.98 with 64, in 0.7 ms, after 2.6 times the build time. A graph is built where lists find too few.
_LINK_CANDIDATES = 160
_SEED = 1
#: Trains and fills an index; takes shards, factory string, threads and progress.
Make = Callable[["Shards", str, int, Watch], Any]


def make_index(
    shards: "Shards", factory: str, threads: int = 1, progress: Watch = silent, gpu: bool | None = None
) -> Any:
    """Trains and fills an index. Memory holds the index, the sample (at most a gigabyte) and a block.

    The same shards and threads give the same index on the same kind of machine, except HNSW: vectors that several
    threads add at once may be linked in another order. Without rows the index is flat, as there is nothing to train on.

    Args:
        shards: the rows; row numbers become ids.
        factory: FAISS's factory string, by inner product, or `index_selection.CAGRA`.
        threads: threads of FAISS and its BLAS.
        progress: reports progress.
        gpu: whether to train and assign on GPUs; None if there are some.

    Raises:
        RuntimeError: FAISS cannot build the type, or not from so few rows.
    """
    if not len(shards):
        return faiss.IndexFlatIP(shards.dimension)
    if factory == CAGRA:
        return _graph(shards, progress)
    gpu = gpu_count() > 0 if gpu is None else gpu
    with progress("training", 1) as advance:
        index = trained_empty(shards, factory, threads, gpu)
        advance(1)
    with progress("adding", len(shards)) as advance:
        fill(index, shards.blocks(), threads, advance, gpu)
    return index


def trained_empty(shards: "Shards", factory: str, threads: int = 1, gpu: bool = False) -> Any:
    """Returns an index trained on a sample of the rows and without rows. Raises RuntimeError."""
    index = untrained(shards.dimension, factory)
    if index.is_trained:
        return index
    wanted, lists = _TRAINED, _lists(index)
    for clustering in _clusterings(index):
        # Silences FAISS's warning about few training vectors on stderr.
        clustering.min_points_per_centroid = 1
    if lists is not None:
        lists.cp.niter, lists.cp.seed = _ROUNDS, _SEED
        wanted = max(wanted, _TRAINED_PER_LIST * lists.nlist)
    sample = _sample(shards, min(wanted, _MAX_TRAINING_BYTES // (4 * shards.dimension)))
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
    """Returns FAISS's index for a factory string. Raises RuntimeError if there is none by inner product."""
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise RuntimeError(f"FAISS has no {factory} by inner product")
    for layer in layers(index):
        if isinstance(layer, _faiss.IndexHNSW):
            layer.hnsw.efConstruction = _LINK_CANDIDATES
    if any(isinstance(layer, _faiss.IndexIDMap | _faiss.IndexIDMap2) for layer in layers(index)):
        raise RuntimeError("rows are numbered from 0, and need no IDMap")
    return index


def check_factory(dimension: int, factory: str) -> None:
    """Checks that a type exists and that its files can be validated; a few rows may still be too few for it.

    Raises:
        RuntimeError: the type is not supported.
    """
    try:
        if factory != CAGRA:
            if not readable(untrained(dimension, factory)):
                raise RuntimeError("Glimpse cannot validate files of this type, so it could not be opened")
        elif not (gpu_count() and hasattr(faiss, "GpuIndexCagra")):
            raise RuntimeError("it needs a GPU and a FAISS with cuVS")
    except RuntimeError as error:
        raise RuntimeError(f"FAISS cannot make {factory}: {faiss_message(error)}") from None


def fill(
    index: Any,
    blocks: Iterable[Vectors],
    threads: int = 1,
    advance: Callable[[int], object] = lambda count: None,
    gpu: bool = False,
) -> None:
    """Adds blocks of vectors, (n, d) each.

    Other block sizes may, by rounding, put a row into another list.
    """
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
    """Returns whether `merge_into` gives the same index as filling parts one after the other.

    A graph cannot be merged, nor can codes packed for fast scanning ("x4fs"): the padding of their blocks differs, and
    FAISS's BlockInvertedLists.add_entries copies beyond the end if a list has a multiple of its block's bytes.
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
    """Moves the rows of parts behind those of an index, in order; the parts are empty afterwards.

    Args:
        index: an index for which `can_merge` is true.
        parts: indexes of the same `trained_empty`.

    Raises:
        RuntimeError: FAISS finds that the indexes differ.
    """
    for part in parts:
        _merge(faiss.downcast_index(index), faiss.downcast_index(part))


def faiss_bytes(index: Any) -> Vectors:
    """Serializes an index to bytes, uint8 (n,), for another process."""
    return np.asarray(faiss.serialize_index(index))


def from_bytes(serialized: Any) -> Any:
    """Deserializes an index from `faiss_bytes`."""
    return faiss.deserialize_index(np.asarray(serialized))


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Sets the number of FAISS's threads within the context, for calls from this thread.

    OpenMP keeps the number per thread, and FAISS's BLAS follows it.
    """
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
        # Lists store row numbers; elsewhere the position is the number.
        index.merge_from(part, index.ntotal if isinstance(index, _faiss.IndexIVF) else 0)


def _graph(shards: "Shards", progress: Watch) -> Any:
    """Builds a CAGRA graph; all vectors are in memory as float16."""
    vectors, at = np.empty((len(shards), shards.dimension), np.float16), 0
    with progress("adding", len(shards)) as advance:
        for block in shards.blocks():
            vectors[at : at + len(block)] = block
            at += len(block)
            advance(len(block))
    return on_gpu.make_graph(vectors)


def _lists(index: Any) -> Any:
    """Returns the layer with inverted lists, or None."""
    return next((layer for layer in layers(index) if isinstance(layer, _faiss.IndexIVF)), None)


def _clusterings(index: Any) -> Iterator[Any]:
    """Yields the settings of every k-means in an index."""
    for layer in layers(index):
        for part in (layer, getattr(layer, "pq", None)):
            if part is not None and hasattr(part, "cp"):
                yield part.cp


def _sample(shards: "Shards", count: int) -> Vectors:
    rows = np.arange(len(shards))
    if count < len(rows):
        rows = np.sort(np.random.default_rng(_SEED).choice(len(rows), count, replace=False))
    return shards.vectors(rows, once=True)
