"""What FAISS's types are made of, walked: quantizers, lists, graphs, transforms; and what each points to, checked."""

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from glimpse.index.faiss_validation.reader import FaissReader, Shape, check

# The generated types lack a name or two.
_faiss: Any = faiss

# Bytes of d coordinates, by FAISS's number for the type: 8 and 4 bits, the same with one range for all, fp16, 6 bits,
# bf16. And how many values each has learnt.
_SCALAR_BYTES: dict[int, Callable[[int], int]] = {
    0: lambda d: d,
    1: lambda d: (d + 1) // 2,
    2: lambda d: d,
    3: lambda d: (d + 1) // 2,
    4: lambda d: 2 * d,
    6: lambda d: (6 * d + 7) // 8,
    7: lambda d: 2 * d,
}
_LEARNT: dict[int, Callable[[int], int]] = {
    0: lambda d: 2 * d,
    1: lambda d: 2 * d,
    2: lambda d: 2,
    3: lambda d: 2,
    6: lambda d: 2 * d,
}
_MOST_BITS, _MOST_RABITS = 16, 9
_MOST_LEVELS, _MOST_KEPT = 64, 1 << 20
_EVERY_SIZE, _SOME_SIZES = b"full", b"sprs"


def scalar(walk: FaissReader, dimension: int) -> int:
    """A ScalarQuantizer; returns the bytes of a code."""
    kind, _, _, d, _ = walk.number("i"), walk.number("i"), walk.real(), walk.number("Q"), walk.number("Q")
    check(kind in _SCALAR_BYTES, f"scalars of type {kind}")
    check(d == dimension, "a quantizer of another dimension")
    walk.vector("f4", _LEARNT[kind](d) if kind in _LEARNT else 0)
    return _SCALAR_BYTES[kind](dimension)


def product(walk: FaissReader, dimension: int) -> tuple[int, int]:
    """A ProductQuantizer; returns its parts, and the bits of each."""
    d, parts, bits = (int(walk.number("Q")) for _ in range(3))
    check(d == dimension and 1 <= parts <= d and d % parts == 0, "product codes of another dimension")
    check(1 <= bits <= _MOST_BITS, f"product codes of {bits} bits")
    walk.vector("f4", d << bits)
    return parts, bits


def rabitq(walk: FaissReader, dimension: int, *, several: bool) -> int:
    """A RaBitQuantizer; returns the bytes of a code. `several`: its number of bits is told."""
    d, size, metric = walk.number("Q"), walk.number("Q"), walk.number("i")
    bits = walk.number("Q") if several else 1
    check(
        d == dimension and metric == faiss.METRIC_INNER_PRODUCT and 1 <= bits <= _MOST_RABITS,
        "bits of another dimension",
    )
    wanted = int(_faiss.RaBitQuantizer(dimension, metric, bits).code_size if several else dimension_bytes(dimension))
    check(size == wanted, f"codes of {size} bytes, where there are {wanted}")
    return wanted


def dimension_bytes(dimension: int) -> int:
    """Of a code of one bit a coordinate, and the two numbers beside."""
    return (dimension + 7) // 8 + 8


def transform(walk: FaissReader, dimension: int) -> int:
    """A VectorTransform of so many coordinates; returns how many come out."""
    kind = walk.array("u1", 4).tobytes()
    bias, matrix, shift = False, None, None
    if kind in (b"PcAm", b"Pcam"):
        walk.real()
        if kind == b"Pcam":
            walk.real()
        walk.flag()
        walk.number("i")
        for _ in range(3):
            walk.vector("f4")
    if kind == b"VNrm":
        walk.real()
    else:
        check(kind in (b"rrot", b"LTra", b"PcAm", b"Pcam"), f"a transform of type {kind!r}")
        bias, matrix, shift = walk.flag(), walk.vector("f4"), walk.vector("f4")
    d_in, d_out = walk.number("i"), walk.number("i")
    check(walk.flag() and d_in == dimension and d_out >= 1, "a transform of another dimension")
    if matrix is None or shift is None:
        check(d_in == d_out, "a transform of another dimension")
    else:
        check(len(matrix) == d_in * d_out and len(shift) >= bias * d_out, "a transform of another dimension")
    return int(d_out)


def lists(walk: FaissReader, shape: Shape, count: int, code: int) -> None:
    """Inverted lists, so many, of codes of so many bytes, which together have every row once."""
    kind = walk.array("u1", 4).tobytes()
    check(kind == b"ilar", f"lists of type {kind!r}")
    check((walk.number("Q"), walk.number("Q")) == (count, code), "lists of other codes")
    rows = []
    for size in _sizes(walk, count).tolist():
        walk.array("u1", size * code)
        rows.append(walk.array("i8", size))
    _check_rows(rows, shape.count)


def blocks(walk: FaissReader, shape: Shape, count: int, vectors: int, size: int) -> None:
    """Inverted lists of codes packed for fast scanning, in blocks of so many vectors and bytes."""
    kind = walk.array("u1", 4).tobytes()
    check(kind == b"ilbl", f"lists of type {kind!r}")
    found, _, a_block, block_bytes = (int(walk.number("Q")) for _ in range(4))
    check((found, a_block, block_bytes) == (count, vectors, size), "lists of other codes")
    rows = []
    for _ in range(count):
        rows.append(walk.vector("i8"))
        walk.vector("u1", -(-len(rows[-1]) // vectors) * size)
    _check_rows(rows, shape.count)


def _sizes(walk: FaissReader, count: int) -> npt.NDArray[np.int64]:
    kind = walk.array("u1", 4).tobytes()
    check(kind in (_EVERY_SIZE, _SOME_SIZES), f"sizes of type {kind!r}")
    if kind == _EVERY_SIZE:
        sizes = walk.vector("i8", count)
    else:
        pairs = walk.vector("i8")
        check(len(pairs) % 2 == 0, "sizes without a list")
        which, some = pairs[::2], pairs[1::2]
        check(_within(which, 0, count), "sizes of lists that are not there")
        sizes = np.zeros(count, np.int64)
        sizes[which] = some
    check(_within(sizes, 0, walk.left + 1), "lists of more than the file holds")
    return sizes


def _check_rows(lists: list[npt.NDArray[Any]], count: int) -> None:
    rows = np.concatenate([np.empty(0, np.int64), *lists])
    check(len(rows) == count and _within(rows, 0, count), "rows that are not there")
    there = np.zeros(count, np.bool_)
    there[rows] = True
    check(bool(there.all()), "rows that are there twice")


def hnsw(walk: FaissReader, count: int, *, base_only: bool) -> None:
    """A graph of so many nodes. `base_only`: it is not entered from above, and may have no entry."""
    walk.vector("f8")
    ends, levels = walk.vector("i4"), walk.vector("i4", count)
    starts, links = walk.vector("i8", count + 1), walk.vector("i4")
    entry, top, _, kept, _ = (int(walk.number("i")) for _ in range(5))
    check(2 <= len(ends) <= _MOST_LEVELS and ends[0] == 0 and bool((np.diff(ends) >= 0).all()), "levels in disorder")
    check(_within(levels, 1, len(ends)), "nodes of levels that are not there")
    check(starts[0] == 0 and starts[-1] == len(links), "links that are not there")
    check(bool((np.diff(starts) == ends[levels]).all()), "links that are not there")
    check(_within(links, -1, count), "links to nodes that are not there")
    for level in range(1, int(levels.max(initial=1))):
        nodes = np.flatnonzero(levels > level)
        there = links[starts[nodes][:, None] + np.arange(ends[level], ends[level + 1])]
        check(bool((levels[there[there >= 0]] > level).all()), "links to nodes that are not so high")
    entered = 0 <= entry < count and 0 <= top < levels[entry]
    check(entered or (base_only and entry == -1 and -1 <= top < len(ends)), "it is entered where nothing is")
    check(1 <= kept <= _MOST_KEPT, f"{kept} candidates kept")


def nsg(walk: FaissReader, count: int) -> None:
    """A graph of so many nodes, each with links up to a -1."""
    found, degree, _, _, kept, entry = (int(walk.number("i")) for _ in range(6))
    check(walk.flag() and found == count and degree >= 1, "a graph of other nodes")
    check(0 <= entry < count and 1 <= kept <= _MOST_KEPT, "it is entered where nothing is")
    links = walk.rest("i4", count * (degree + 1))
    ends = np.flatnonzero(links == -1)[:count]
    check(len(ends) == count, "links without end")
    check(int(np.diff(ends, prepend=-1).max(initial=0)) <= degree + 1, "more links than a node has")
    check(_within(walk.array("i4", int(ends[-1]) + 1 if count else 0), -1, count), "links to nodes that are not there")


def _within(values: npt.NDArray[Any], least: int, below: int) -> bool:
    return not len(values) or (least <= int(values.min()) and int(values.max()) < below)
