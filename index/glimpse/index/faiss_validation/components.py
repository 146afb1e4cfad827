"""Validates the components of FAISS indexes: quantizers, inverted lists, graphs and transforms."""

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from glimpse.index.faiss_validation.reader import FaissReader, Shape, check

# FAISS's type stubs lack some names.
_faiss: Any = faiss

# Bytes of a code of d coordinates, by FAISS's number of the quantizer type: 8 and 4 bits, the same with one range for
# all coordinates, fp16, 6 bits, bf16. Below, the number of trained values of each type.
_SCALAR_BYTES: dict[int, Callable[[int], int]] = {
    0: lambda d: d,
    1: lambda d: (d + 1) // 2,
    2: lambda d: d,
    3: lambda d: (d + 1) // 2,
    4: lambda d: 2 * d,
    6: lambda d: (6 * d + 7) // 8,
    7: lambda d: 2 * d,
}
_TRAINED_VALUES: dict[int, Callable[[int], int]] = {
    0: lambda d: 2 * d,
    1: lambda d: 2 * d,
    2: lambda d: 2,
    3: lambda d: 2,
    6: lambda d: 2 * d,
}
_MAX_BITS, _MAX_RABITQ_BITS = 16, 9
_MAX_LEVELS, _MAX_CANDIDATES = 64, 1 << 20
#: Bytes of the two numbers that RaBitQ stores with a code of one bit per coordinate.
VECTOR_NUMBERS = 8
_EVERY_SIZE, _SOME_SIZES = b"full", b"sprs"


def scalar(reader: FaissReader, dimension: int) -> int:
    """Reads a ScalarQuantizer and returns the bytes of a code."""
    kind, _, _, d, _ = reader.number("i"), reader.number("i"), reader.real(), reader.number("Q"), reader.number("Q")
    check(kind in _SCALAR_BYTES, f"scalars of type {kind}")
    check(d == dimension, "a quantizer of another dimension")
    reader.vector("f4", _TRAINED_VALUES[kind](d) if kind in _TRAINED_VALUES else 0)
    return _SCALAR_BYTES[kind](dimension)


def product(reader: FaissReader, dimension: int) -> tuple[int, int]:
    """Reads a ProductQuantizer and returns the number of its parts and the bits of each."""
    d, parts, bits = (int(reader.number("Q")) for _ in range(3))
    check(d == dimension and 1 <= parts <= d and d % parts == 0, "product codes of another dimension")
    check(1 <= bits <= _MAX_BITS, f"product codes of {bits} bits")
    reader.vector("f4", d << bits)
    return parts, bits


def rabitq(reader: FaissReader, dimension: int, *, several: bool) -> int:
    """Reads a RaBitQuantizer and returns the bytes of a code.

    Args:
        reader: the file.
        dimension: expected dimension.
        several: whether the file states the number of bits; 1 otherwise.
    """
    d, size, metric = reader.number("Q"), reader.number("Q"), reader.number("i")
    bits = reader.number("Q") if several else 1
    check(
        d == dimension and metric == faiss.METRIC_INNER_PRODUCT and 1 <= bits <= _MAX_RABITQ_BITS,
        "bits of another dimension",
    )
    wanted = int(_faiss.RaBitQuantizer(dimension, metric, bits).code_size if several else dimension_bytes(dimension))
    check(size == wanted, f"codes of {size} bytes, where there are {wanted}")
    return wanted


def dimension_bytes(dimension: int) -> int:
    """Returns the bytes of a code of one bit per coordinate, with the two numbers stored with it."""
    return (dimension + 7) // 8 + VECTOR_NUMBERS


def transform(reader: FaissReader, dimension: int) -> int:
    """Reads a VectorTransform of `dimension` coordinates, and returns the number of its output coordinates."""
    kind = reader.array("u1", 4).tobytes()
    bias, matrix, shift = False, None, None
    if kind in (b"PcAm", b"Pcam"):
        reader.real()
        if kind == b"Pcam":
            reader.real()
        reader.flag()
        reader.number("i")
        for _ in range(3):
            reader.vector("f4")
    if kind == b"VNrm":
        reader.real()
    else:
        check(kind in (b"rrot", b"LTra", b"PcAm", b"Pcam"), f"a transform of type {kind!r}")
        bias, matrix, shift = reader.flag(), reader.vector("f4"), reader.vector("f4")
    d_in, d_out = reader.number("i"), reader.number("i")
    check(reader.flag() and d_in == dimension and d_out >= 1, "a transform of another dimension")
    if matrix is None or shift is None:
        check(d_in == d_out, "a transform of another dimension")
    else:
        check(len(matrix) == d_in * d_out and len(shift) >= bias * d_out, "a transform of another dimension")
    return int(d_out)


def lists(reader: FaissReader, shape: Shape, count: int, code: int) -> None:
    """Reads inverted lists and checks that together they have each row once.

    Args:
        reader: the file.
        shape: the index's shape.
        count: expected number of lists.
        code: expected bytes of a code.
    """
    kind = reader.array("u1", 4).tobytes()
    check(kind == b"ilar", f"lists of type {kind!r}")
    check((reader.number("Q"), reader.number("Q")) == (count, code), "lists of other codes")
    rows = []
    for size in _sizes(reader, count).tolist():
        reader.array("u1", size * code)
        rows.append(reader.array("i8", size))
    _check_rows(rows, shape.count)


def blocks(reader: FaissReader, shape: Shape, count: int, vectors: int, size: int) -> None:
    """Reads inverted lists of codes packed for fast scanning, and checks that together they have each row once.

    Args:
        reader: the file.
        shape: the index's shape.
        count: expected number of lists.
        vectors: expected vectors per block.
        size: expected bytes per block.
    """
    kind = reader.array("u1", 4).tobytes()
    check(kind == b"ilbl", f"lists of type {kind!r}")
    list_count, _, block_vectors, block_bytes = (int(reader.number("Q")) for _ in range(4))
    check((list_count, block_vectors, block_bytes) == (count, vectors, size), "lists of other codes")
    rows = []
    for _ in range(count):
        rows.append(reader.vector("i8"))
        reader.vector("u1", -(-len(rows[-1]) // vectors) * size)
    _check_rows(rows, shape.count)


def _sizes(reader: FaissReader, count: int) -> npt.NDArray[np.int64]:
    kind = reader.array("u1", 4).tobytes()
    check(kind in (_EVERY_SIZE, _SOME_SIZES), f"sizes of type {kind!r}")
    if kind == _EVERY_SIZE:
        sizes = reader.vector("i8", count)
    else:
        pairs = reader.vector("i8")
        check(len(pairs) % 2 == 0, "sizes without a list")
        numbers, list_sizes = pairs[::2], pairs[1::2]
        check(_within(numbers, 0, count), "sizes of missing lists")
        sizes = np.zeros(count, np.int64)
        sizes[numbers] = list_sizes
    check(_within(sizes, 0, reader.left + 1), "lists larger than the file")
    return sizes


def _check_rows(lists: list[npt.NDArray[Any]], count: int) -> None:
    rows = np.concatenate([np.empty(0, np.int64), *lists])
    check(len(rows) == count and _within(rows, 0, count), "row numbers out of range")
    present = np.zeros(count, np.bool_)
    present[rows] = True
    check(bool(present.all()), "duplicate rows")


def hnsw(reader: FaissReader, count: int, *, base_only: bool) -> None:
    """Reads an HNSW graph and checks its links.

    Args:
        reader: the file.
        count: expected number of nodes.
        base_only: whether the graph is searched only on its base level, and may have no entry point.
    """
    reader.vector("f8")
    ends, levels = reader.vector("i4"), reader.vector("i4", count)
    starts, links = reader.vector("i8", count + 1), reader.vector("i4")
    entry, top, _, kept, _ = (int(reader.number("i")) for _ in range(5))
    check(2 <= len(ends) <= _MAX_LEVELS and ends[0] == 0 and bool((np.diff(ends) >= 0).all()), "levels out of order")
    check(_within(levels, 1, len(ends)), "nodes of missing levels")
    check(starts[0] == 0 and starts[-1] == len(links), "links out of range")
    check(bool((np.diff(starts) == ends[levels]).all()), "links out of range")
    check(_within(links, -1, count), "links to missing nodes")
    for level in range(1, int(levels.max(initial=1))):
        nodes = np.flatnonzero(levels > level)
        level_links = links[starts[nodes][:, None] + np.arange(ends[level], ends[level + 1])]
        check(bool((levels[level_links[level_links >= 0]] > level).all()), "links to nodes below their level")
    entered = 0 <= entry < count and 0 <= top < levels[entry]
    check(entered or (base_only and entry == -1 and -1 <= top < len(ends)), "the entry point is a missing node")
    check(1 <= kept <= _MAX_CANDIDATES, f"{kept} search candidates")


def nsg(reader: FaissReader, count: int) -> None:
    """Reads an NSG graph and checks its links; the links of each node end with -1."""
    node_count, degree, _, _, kept, entry = (int(reader.number("i")) for _ in range(6))
    check(reader.flag() and node_count == count and degree >= 1, "a graph of other nodes")
    check(0 <= entry < count and 1 <= kept <= _MAX_CANDIDATES, "the entry point is a missing node")
    links = reader.rest("i4", count * (degree + 1))
    ends = np.flatnonzero(links == -1)[:count]
    check(len(ends) == count, "links without end")
    check(int(np.diff(ends, prepend=-1).max(initial=0)) <= degree + 1, "more links than a node has")
    check(_within(reader.array("i4", int(ends[-1]) + 1 if count else 0), -1, count), "links to missing nodes")


def _within(values: npt.NDArray[Any], least: int, below: int) -> bool:
    return not len(values) or (least <= int(values.min()) and int(values.max()) < below)
