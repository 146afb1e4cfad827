"""What FAISS does on GPUs: the centres of lists, graphs, and search of what is copied there.

An index is filled on the processor and written from there, so that a file is the same thing wherever it was made: of
building, what takes the time is to compare vectors with centres, and that alone is on the GPU.
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from glimpse.index.search.flat_index import Vectors

# The package for processors lacks what is of GPUs.
_faiss: Any = faiss
_GRAPH_DEGREE, _FIRST_DEGREE = 64, 128


def nearest_centre(centres: Vectors | None, dimension: int) -> Any:
    """An index of centres, (n, d), by inner product, on all GPUs; None: empty, for k-means to fill."""
    flat: Any = faiss.IndexFlatIP(dimension)
    if centres is not None:
        flat.add(centres)
    return _faiss.index_cpu_to_all_gpus(flat)


def add_assigned(index: Any, block: Vectors, centres: Any) -> None:
    """Adds a block, (n, d), as `index.add` does, with each row's list found by `centres`, an index of them.

    Codes packed for fast scanning ("x4fs") take no list that was found elsewhere, and find their own.
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
    """CAGRA's graph (Ootomo et al. 2023) of (n, d), as an IndexHNSWCagra, which is written and searched without a GPU.

    It takes a FAISS with cuVS, as conda's faiss-gpu-cuvs; PyPI's faiss-gpu has none.
    """
    config = _faiss.GpuIndexCagraConfig()
    config.graph_degree, config.intermediate_graph_degree = _GRAPH_DEGREE, _FIRST_DEGREE
    resources = _faiss.StandardGpuResources()
    graph = _faiss.GpuIndexCagra(resources, vectors.shape[1], faiss.METRIC_INNER_PRODUCT, config)
    graph.train(vectors, numeric_type=_faiss.Float16)
    return _faiss.index_gpu_to_cpu(graph)


def to_gpu(index: Any) -> tuple[Any, str]:
    """For search on all GPUs, and what it is there. What they cannot hold is returned as it came.

    Of an index that rescores, and of a graph, the vectors themselves are copied, and all are compared: exact, and
    sooner than their candidates would be found. Rows keep their numbers. FAISS's GPU indexes take no selector, and one
    search at a time.
    """
    if not faiss.get_num_gpus():
        return index, "on the processor: FAISS sees no GPU"
    held, what = _held(faiss.downcast_index(index))
    try:
        there = _faiss.index_cpu_to_all_gpus(held)
    except RuntimeError as error:
        return index, f"on the processor: {str(error).splitlines()[-1]}"
    # A graph there reads vectors that stay here.
    there.referenced_objects = [index]
    return there, f"{what} on the GPU"


def _held(index: Any) -> tuple[Any, str]:
    if isinstance(index, _faiss.IndexRefine):
        return faiss.downcast_index(index.refine_index), "the vectors that it rescores by, all compared,"
    if isinstance(index, _faiss.IndexHNSWCagra) and hasattr(faiss, "GpuIndexCagra"):
        return index, "CAGRA"
    if isinstance(index, _faiss.IndexHNSW):
        return faiss.downcast_index(index.storage), "the graph's vectors, all compared,"
    return index, type(index).__name__
