"""Selects the FAISS index type for a number of vectors, their dimension and the memory.

`python -m bench.index` measures the types (bench/results/index.md).
"""

from typing import Any, NamedTuple

import faiss

#: Not a factory string of FAISS, but the graph that GpuIndexCagra builds, written as an IndexHNSWCagra, which needs no
#: GPU.
CAGRA = "CAGRA"

# Bytes that one thread compares in 4 ms (Flat) to 7 ms (SQ8): the longest acceptable exhaustive search.
_READ_WHOLE = 100_000_000
# With 200,000 vectors a graph finds as many as lists in a third of the time, after four times the build time. With a
# million clustered vectors one of FAISS's 40 candidates for links finds 0.71 of the nearest, whatever its search
# parameter (building/train.py takes more). So it is only used if lists find too few.
_MAX_GRAPH_VECTORS, _LINKS = 2_000_000, 32
# With a million vectors of 512 coordinates, product codes find 0.95 in 7.8 ms (64 queries: 146 ms). One bit per
# coordinate takes half the memory, and 13.7 ms (589 ms). With 128 coordinates bits carry too little information.
# FAISS's fast scan of bits, RaBitQfs, gains nothing: with 250,000 vectors in 1,000 lists, both take 2.9 ms of processor
# time a query (64 queries: 171 and 176 ms), and product codes 2.6 ms (83 ms).
_BITS_FROM = 256
# As for CandidateIndex: more is found than with sqrt(n) lists when the same share is read.
_LISTS, _LEAST_IN_LIST = 4, 8
# Each list needs 40 training vectors, all of them in memory.
_MAX_LISTS = 16_384
# Bytes of a list's entry: its row, and RaBitQ's values for its bits.
_ROW, _BESIDE_BITS = 8, 8
# FAISS's arrays double when they grow, and the old one exists during the copy.
_GROWING = 2


class Choice(NamedTuple):
    """A factory string and the reason for it."""

    factory: str
    reason: str


class _Kind(NamedTuple):
    factory: str
    bytes: float  # per vector, in the file
    why: str
    #: Bytes per vector that a build keeps in memory: all, or those without the rescoring codes (building/rescored.py).
    built: float

    def fits(self, count: int, memory: int) -> bool:
        """Returns whether a build fits into memory, and the finished file, so that a search need not read a disk."""
        return max(_GROWING * self.built, self.bytes) * count <= memory


def choices(count: int, dimension: int, memory: int, gpus: int = 0) -> list[Choice]:
    """Returns the index types that fit, best first; the next one is for the case that one finds too few. At least one.

    Args:
        count: number of vectors.
        dimension: dimension of a vector.
        memory: bytes that FAISS may take while it builds, and that the finished file's mapped pages may take.
        gpus: number of GPUs that FAISS sees.
    """
    kinds, smaller = _suitable(count, dimension, gpus)
    size = f"{count:,} vectors of {dimension:,}"
    fitting = [kind for kind in kinds if kind.fits(count, memory)]
    if fitting:
        return [Choice(kind.factory, f"{size}: {kind.why}") for kind in fitting]
    for kind in smaller:
        if kind.fits(count, memory):
            short = f"better types need more than {memory / 1e9:.1f} GB"
            return [Choice(kind.factory, f"{size}: {kind.why}; {short}")]
    least = min([*kinds, *smaller], key=lambda kind: kind.bytes)
    return [Choice(least.factory, f"{size} do not fit into {memory / 1e9:.1f} GB; this is the smallest type")]


def layers(index: Any) -> list[Any]:
    """Returns an index and the indexes nested in it, outermost first, each as its own class.

    FAISS nests indexes: an IndexRefine rescores what an IndexPreTransform found, which rotates queries for an IndexIVF.
    """
    nested = [faiss.downcast_index(index)]
    while True:
        last: Any = nested[-1]
        inner = getattr(last, "base_index", None) or getattr(last, "index", None)
        if inner is None:
            return nested
        nested.append(faiss.downcast_index(inner))


def _suitable(count: int, dimension: int, gpus: int) -> tuple[list[_Kind], list[_Kind]]:
    """Returns the types, best first, and fallbacks for little memory, each smaller than the one before."""
    if 4 * count * dimension <= _READ_WHOLE:
        return [_Kind("Flat", 4 * dimension, "few enough to compare all", 4 * dimension)], []
    if count * dimension <= _READ_WHOLE:
        why = "one byte per coordinate is read in some milliseconds"
        return [_Kind("SQ8,Refine(SQfp16)", 3 * dimension, why, dimension)], []
    lists = max(1, min(int(_LISTS * count**0.5), count // _LEAST_IN_LIST, _MAX_LISTS))
    coarse, code, why = _product_codes(lists, dimension)
    kinds = [_Kind(f"{coarse},Refine(SQfp16)", code + 2 * dimension, f"{why}, rescored", code)]
    if gpus and hasattr(faiss, "GpuIndexCagra"):
        size = 4 * dimension + 8 * _LINKS
        kinds.insert(0, _Kind(CAGRA, size, "a graph built and searched on the GPU", size))
    if count <= _MAX_GRAPH_VECTORS:
        linked = 2 * dimension + 4 * 2.1 * _LINKS
        kinds.append(_Kind(f"HNSW{_LINKS},SQfp16", linked, "a graph", linked))
    if dimension >= _BITS_FROM:
        coarse, code, why = (
            f"RR,IVF{lists},RaBitQ",
            dimension / 8 + _BESIDE_BITS + _ROW,
            "lists of one bit per coordinate",
        )
    rescored = _Kind(f"{coarse},Refine(SQ8)", code + dimension, f"{why}, rescored with one byte per coordinate", code)
    return kinds, [rescored, _Kind(coarse, code, f"{why}, not rescored", code)]


def _product_codes(lists: int, dimension: int) -> tuple[str, float, str]:
    """Returns factory string, bytes per vector and description of product codes with two coordinates per code."""
    # Rotating into one more coordinate keeps cosines.
    even = dimension + dimension % 2
    turn = "" if even == dimension else f"RR{even},"
    return f"{turn}IVF{lists},PQ{even // 2}x4fs", even / 4 + _ROW, "lists of product codes"
