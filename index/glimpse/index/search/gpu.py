"""FAISS on GPUs: list centres, graphs, and search in a copy.

An index is filled and written on the CPU, so its file does not depend on where it was built. Building spends its time
on comparing vectors with centres, and only that runs on the GPU.
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from glimpse.index.search.cuda import gpu_count
from glimpse.index.types import Vectors

# The CPU package lacks the names of GPU classes.
_faiss: Any = faiss
_GRAPH_DEGREE, _FIRST_DEGREE = 64, 128


def nearest_centre(centres: Vectors | None, dimension: int) -> Any:
    """Returns an index of centres on the first GPU, by inner product.

    Args:
        centres: (n, d); None for an empty index that k-means fills.
        dimension: d.
    """
    flat: Any = faiss.IndexFlatIP(dimension)
    if centres is not None:
        flat.add(centres)
    return _on_first(flat)


def add_assigned(index: Any, block: Vectors, centres: Any) -> None:
    """Adds a block of vectors as `index.add` does, but finds each row's list with `centres`.

    Codes packed for fast scanning ("x4fs") accept no external list numbers, so FAISS finds the lists itself.

    Args:
        index: a trained index.
        block: vectors, (n, d).
        centres: an index of the lists' centres.
    """
    index = faiss.downcast_index(index)
    if isinstance(index, _faiss.IndexRefine):
        add_assigned(index.base_index, block, centres)
        index.refine_index.add(block)
        index.ntotal = index.refine_index.ntotal
    elif isinstance(index, _faiss.IndexPreTransform):
        for i in range(index.chain.size()):
            block = _faiss.downcast_VectorTransform(index.chain.at(i)).apply(block)
        add_assigned(index.index, block, centres)
        index.ntotal = index.index.ntotal
    elif isinstance(index, _faiss.IndexIVF) and not isinstance(index, _faiss.IndexIVFFastScan):
        found = np.ascontiguousarray(centres.search(block, 1)[1][:, 0])
        rows = np.arange(index.ntotal, index.ntotal + len(block))
        index.add_core(len(block), *(_faiss.swig_ptr(array) for array in (block, rows, found)))
    else:
        index.add(block)


def make_graph(vectors: npt.NDArray[np.float16]) -> Any:
    """Builds CAGRA's graph (Ootomo et al. 2023) of vectors (n, d), as an IndexHNSWCagra that needs no GPU afterwards.

    It needs FAISS with cuVS, such as conda's faiss-gpu-cuvs; PyPI's faiss-gpu has none.
    """
    config = _faiss.GpuIndexCagraConfig()
    config.graph_degree, config.intermediate_graph_degree = _GRAPH_DEGREE, _FIRST_DEGREE
    resources = _faiss.StandardGpuResources()
    graph = _faiss.GpuIndexCagra(resources, vectors.shape[1], faiss.METRIC_INNER_PRODUCT, config)
    graph.train(vectors, numeric_type=_faiss.Float16)
    return _faiss.index_gpu_to_cpu(graph)


def to_gpu(index: Any) -> tuple[Any, str]:
    """Copies an index to the first GPU for search.

    Of an index that rescores, and of a graph, the vectors are copied and all of them compared, which is exact and
    faster than finding candidates. Rows keep their numbers. FAISS's GPU indexes support neither selectors nor
    concurrent searches.

    Returns:
        The copy and a description; the index itself if the GPU cannot hold it.
    """
    if not gpu_count():
        return index, "on the processor: FAISS sees no GPU"
    held, what = _held(faiss.downcast_index(index))
    try:
        there = _on_first(held)
    except RuntimeError as error:
        return index, f"on the processor: {str(error).splitlines()[-1]}"
    if not isinstance(there, _faiss.GpuIndex):
        return index, f"on the processor: FAISS has no {type(held).__name__} for GPUs"
    # A graph on the GPU reads vectors in host memory.
    there.referenced_objects = [index]
    return there, f"{what} on the GPU"


def _on_first(index: Any) -> Any:
    """Returns a copy on the first GPU. With several, FAISS's own cloner would silently return copies on the CPU of
    the types that GPUs lack.
    """
    there = _faiss.index_cpu_to_gpu(_faiss.StandardGpuResources(), 0, index)
    return faiss.downcast_index(there)


def _held(index: Any) -> tuple[Any, str]:
    if isinstance(index, _faiss.IndexRefine):
        return faiss.downcast_index(index.refine_index), "the vectors that it rescores by, all compared,"
    if isinstance(index, _faiss.IndexHNSWCagra) and hasattr(faiss, "GpuIndexCagra"):
        return index, "CAGRA"
    if isinstance(index, _faiss.IndexHNSW):
        return faiss.downcast_index(index.storage), "the graph's vectors, all compared,"
    return index, type(index).__name__
