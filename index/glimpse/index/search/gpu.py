"""FAISS on the first GPU: list centres, graphs and copies.

An index is filled and written on the CPU, so its file does not depend on where it was built. Building spends its time
on comparing vectors with centres, and only that runs on the GPU.
"""

import threading
from functools import cache
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from glimpse.index.types import Vectors

# The CPU package lacks the names of GPU classes.
_faiss: Any = faiss
_GRAPH_DEGREE, _FIRST_DEGREE = 64, 128
# FAISS's default of 1.5 GB is for searches of thousands of queries.
_TEMPORARY_BYTES = 64 << 20
#: FAISS's GPU resources serve one thread at a time.
GPU_LOCK = threading.Lock()


def nearest_centre(centres: Vectors | None, dimension: int) -> Any:
    """Returns an index of centres on the first GPU, by inner product.

    Args:
        centres: (n, d); None for an empty index that k-means fills.
        dimension: d.
    """
    flat: Any = faiss.IndexFlatIP(dimension)
    if centres is not None:
        flat.add(centres)
    return on_first_gpu(flat)


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

    It needs FAISS with cuVS (the extra `gpu-cuvs`); the package faiss-gpu has none.
    """
    config = _faiss.GpuIndexCagraConfig()
    config.graph_degree, config.intermediate_graph_degree = _GRAPH_DEGREE, _FIRST_DEGREE
    resources = _faiss.StandardGpuResources()
    graph = _faiss.GpuIndexCagra(resources, vectors.shape[1], faiss.METRIC_INNER_PRODUCT, config)
    graph.train(vectors, numeric_type=_faiss.Float16)
    return _faiss.index_gpu_to_cpu(graph)


def on_first_gpu(index: Any) -> Any:
    """Returns a copy on the first GPU. Raises RuntimeError if FAISS has no such type for GPUs, or no memory.

    With several GPUs FAISS's cloner silently returns copies on the CPU of the types that GPUs lack, so it gets one.
    """
    options = _faiss.GpuClonerOptions()
    options.use_cuvs = hasattr(faiss, "GpuIndexCagra") and isinstance(index, _faiss.IndexHNSWCagra)
    copy = _faiss.index_cpu_to_gpu(gpu_resources(), 0, index, options)
    if not isinstance(faiss.downcast_index(copy), _faiss.GpuIndex):  # this view does not own the copy
        raise RuntimeError(f"FAISS has no {type(index).__name__} for GPUs")
    return copy


def create_flat(dimension: int) -> Any:
    """Returns an empty index on the first GPU that stores vectors in 16 bits and compares all. Hold GPU_LOCK in use."""
    config = _faiss.GpuIndexFlatConfig()
    config.useFloat16, config.use_cuvs = True, False
    return _faiss.GpuIndexFlatIP(gpu_resources(), dimension, config)


@cache
def gpu_resources() -> Any:
    """Returns this process's only GPU resources: each would take temporary memory of its own. Hold GPU_LOCK in use."""
    resources = _faiss.StandardGpuResources()
    resources.setTempMemory(_TEMPORARY_BYTES)
    return resources
