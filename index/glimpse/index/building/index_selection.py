"""Which FAISS index suits so many vectors, of so many coordinates, in so much memory.

`python -m bench.index` measures the types (bench/results/index.md).
"""

from typing import Any, NamedTuple

import faiss

#: Not a factory string of FAISS: the graph that GpuIndexCagra makes, written as an IndexHNSWCagra, which needs no GPU.
CAGRA = "CAGRA"

# Bytes that one thread compares in 4 (Flat) to 7 ms (SQ8): so long a search may take that leaves nothing out.
_READ_WHOLE = 100_000_000
# Of 100,000 a graph finds what lists do, in two thirds of their time, after four times as long to build; of a million
# in clusters it finds 0.71 of the nearest, whatever is kept on the way. So it comes where lists find too little.
_MOST_IN_GRAPH, _LINKS = 2_000_000, 32
# Of a million vectors of 512 coordinates, product codes find 0.95 in 7.8 ms, and for 64 queries in 146; a bit a
# coordinate, which is half as long, in 13.7 and 589. Of 128 coordinates bits tell too little.
_BITS_FROM = 256
# As for CandidateIndex: more is found than with sqrt(n) lists when the same part is read.
_LISTS, _LEAST_IN_LIST = 4, 8
# Each takes 40 vectors to train, which are in memory at once.
_MOST_LISTS = 16_384
# Of a list's entry: its row, and what RaBitQ keeps beside the bits.
_ROW, _BESIDE_BITS = 8, 8
# FAISS's arrays double as they grow, and while they move there are two.
_GROWING = 2


class Choice(NamedTuple):
    """A factory string, and why."""

    factory: str
    reason: str


class _Kind(NamedTuple):
    factory: str
    bytes: float  # of a vector
    why: str


def choices(count: int, dimension: int, memory: int, gpus: int = 0) -> list[Choice]:
    """The indexes for `count` vectors of `dimension` coordinates that fit, best first: the next where one finds too
    little. At least one.

    Args:
        count: of vectors.
        dimension: of a vector.
        memory: bytes that FAISS may take while it builds; a file made is mapped, and needs less.
        gpus: that FAISS sees.
    """
    kinds, smaller = _suiting(count, dimension, gpus)
    size = f"{count:,} vectors of {dimension:,}"
    fitting = [kind for kind in kinds if _GROWING * kind.bytes * count <= memory]
    if fitting:
        return [Choice(kind.factory, f"{size}: {kind.why}") for kind in fitting]
    for kind in smaller:
        if _GROWING * kind.bytes * count <= memory:
            short = f"what would be better needs more than {memory / 1e9:.1f} GB"
            return [Choice(kind.factory, f"{size}: {kind.why}; {short}")]
    least = min([*kinds, *smaller], key=lambda kind: kind.bytes)
    return [Choice(least.factory, f"{size} fit into {memory / 1e9:.1f} GB in no way; this is the smallest")]


def gpus() -> int:
    """How many FAISS sees: none in the package for processors."""
    return int(faiss.get_num_gpus())


def layers(index: Any) -> list[Any]:
    """An index and those in it that candidates come from, outermost first, each as what it is.

    FAISS nests: an IndexRefine rescores what an IndexPreTransform found, which turns queries for an IndexIVF.
    """
    found = [faiss.downcast_index(index)]
    while True:
        last: Any = found[-1]
        inner = getattr(last, "base_index", None) or getattr(last, "index", None)
        if inner is None:
            return found
        found.append(faiss.downcast_index(inner))


def _suiting(count: int, dimension: int, gpus: int) -> tuple[list[_Kind], list[_Kind]]:
    """Best first; and those to fall back on where memory is short, each smaller than the one before."""
    if 4 * count * dimension <= _READ_WHOLE:
        return [_Kind("Flat", 4 * dimension, "few enough to compare with all")], []
    if count * dimension <= _READ_WHOLE:
        why = "a byte a coordinate is read in some milliseconds"
        return [_Kind("SQ8,Refine(SQfp16)", 3 * dimension, why)], []
    lists = max(1, min(int(_LISTS * count**0.5), count // _LEAST_IN_LIST, _MOST_LISTS))
    coarse, code, why = _product_codes(lists, dimension)
    kinds = [_Kind(f"{coarse},Refine(SQfp16)", code + 2 * dimension, f"{why}, rescored")]
    if gpus and hasattr(faiss, "GpuIndexCagra"):
        kinds.insert(0, _Kind(CAGRA, 4 * dimension + 8 * _LINKS, "a graph made and searched on the GPU"))
    if count <= _MOST_IN_GRAPH:
        links = 4 * 2.1 * _LINKS
        kinds.append(_Kind(f"HNSW{_LINKS},SQfp16", 2 * dimension + links, "a graph"))
    if dimension >= _BITS_FROM:
        coarse, code, why = f"RR,IVF{lists},RaBitQ", dimension / 8 + _BESIDE_BITS + _ROW, "lists of a bit a coordinate"
    rescored = _Kind(f"{coarse},Refine(SQ8)", code + dimension, f"{why}, rescored by a byte a coordinate")
    return kinds, [rescored, _Kind(coarse, code, f"{why}, not rescored")]


def _product_codes(lists: int, dimension: int) -> tuple[str, float, str]:
    """Two coordinates a code: factory string, bytes of a vector, and what it is."""
    # Rotating into one coordinate more leaves cosines as they are.
    even = dimension + dimension % 2
    turn = "" if even == dimension else f"RR{even},"
    return f"{turn}IVF{lists},PQ{even // 2}x4fs", even / 4 + _ROW, "lists of product codes"
