"""A FAISS file from anybody, looked through before FAISS reads it.

FAISS believes what a file declares: sizes, counts and row numbers that are wrong make it read and write where nothing
is. So the types that an index here can have are known, with all that they point by; any other is refused. Codes and
coordinates may be anything.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss

from glimpse.index.errors import IndexFolderError
from glimpse.index.faiss_validation.components import blocks, hnsw, lists, nsg, product, rabitq, scalar, transform
from glimpse.index.faiss_validation.reader import FaissReader, Shape, UnsafeIndexFile, check

# The generated types lack a name or two.
_faiss: Any = faiss

_NIBBLE, _BLOCK = 4, 32
# Bits of a query that is compared with bits.
_MOST_BITS = 8
_MOST_TRANSFORMS, _MOST_FACTOR, _MOST_ENTRIES = 4, 1_000, 1 << 16


def check_file(path: Path, dimension: int, count: int) -> None:
    """Raises IndexFolderError where FAISS must not read a file, or it is not of so many vectors."""
    try:
        walk = FaissReader(path)
        found = _index(walk)
        check(walk.left == 0, "something follows the index")
    except (OSError, ValueError, UnsafeIndexFile) as error:
        raise IndexFolderError(path, f"FAISS cannot be given it: {error}", "build the index anew") from None
    if found != Shape(dimension, count):
        told = f"has {found.count} vectors of dimension {found.dimension}, the manifest {count} of {dimension}"
        raise IndexFolderError(path, told, "build the index anew")


def readable(index: Any) -> bool:
    """Whether the file of an index, filled or not, would be of a type that is known here."""
    # Who owns it stays at hand: the view alone would not keep it.
    view: Any = faiss.downcast_index(index)
    parts = [getattr(view, name, None) for name in ("quantizer", "base_index", "refine_index", "index", "storage")]
    turns = [_faiss.downcast_VectorTransform(view.chain.at(i)) for i in range(_chain(view))]
    # Packed in other blocks, codes are searched in other ways.
    named = type(view).__name__ in _CLASSES and getattr(view, "bbs", _BLOCK) == _BLOCK
    known = named and all(type(one).__name__ in _TURNS for one in turns)
    return known and all(readable(part) for part in parts if part is not None)


def _chain(index: Any) -> int:
    return int(index.chain.size()) if isinstance(index, _faiss.IndexPreTransform) else 0


def _index(walk: FaissReader, among: tuple[bytes, ...] = ()) -> Shape:
    """`among`: the types that it may have; none: all."""
    walk.deeper()
    kind = walk.array("u1", 4).tobytes()
    check(kind in _TYPES and (not among or kind in among), f"an index of type {kind!r}")
    return _TYPES[kind](walk)


def _flat(walk: FaissReader) -> Shape:
    shape = walk.header()
    walk.vector("f4", shape.dimension * shape.count)
    return shape


def _scalars(walk: FaissReader) -> Shape:
    shape = walk.header()
    code = scalar(walk, shape.dimension)
    walk.vector("u1", code * shape.count)
    return shape


def _products(walk: FaissReader) -> Shape:
    shape = walk.header()
    parts, bits = product(walk, shape.dimension)
    walk.vector("u1", (parts * bits + 7) // 8 * shape.count)
    check(walk.number("i") == 0, "a search of another type")
    walk.flag()
    walk.number("i")
    return shape


def _fast_products(walk: FaissReader) -> Shape:
    shape = walk.header()
    parts, bits = product(walk, shape.dimension)
    how, block, together = (walk.number("i") for _ in range(3))
    padded, even = walk.number("Q"), walk.number("Q")
    check(bits == _NIBBLE and (how, together) == (0, 0), "a search of another type")
    _check_blocks(block, parts, even)
    check(padded == -(-shape.count // block) * block, "codes of other vectors")
    walk.vector("u1", padded * even // 2)
    return shape


def _bits(several: bool) -> Callable[[FaissReader], Shape]:
    def walked(walk: FaissReader) -> Shape:
        shape = walk.header()
        code = rabitq(walk, shape.dimension, several=several)
        walk.vector("u1", code * shape.count)
        walk.vector("f4", shape.dimension)
        check(walk.number("B") <= _MOST_BITS, "queries of other bits")
        return shape

    return walked


def _with_lists(walk: FaissReader) -> tuple[Shape, int]:
    """What every index with lists begins with; the number of lists."""
    shape = walk.header()
    count, probed = walk.number("Q"), walk.number("Q")
    check(1 <= probed <= count, f"{probed} of {count} lists searched")
    centres = _index(walk, (b"IxFI", b"IHNf", b"IHNs"))
    check(centres == Shape(shape.dimension, count), "lists of other centres")
    check(walk.number("B") == 0, "a map of rows to lists")
    walk.vector("i8", 0)
    return shape, count


def _listed_flat(walk: FaissReader) -> Shape:
    shape, count = _with_lists(walk)
    lists(walk, shape, count, 4 * shape.dimension)
    return shape


def _listed_scalars(walk: FaissReader) -> Shape:
    shape, count = _with_lists(walk)
    code = scalar(walk, shape.dimension)
    check(walk.number("Q") == code, "codes of another size")
    walk.flag()
    lists(walk, shape, count, code)
    return shape


def _listed_products(walk: FaissReader) -> Shape:
    shape, count = _with_lists(walk)
    walk.flag()
    code = walk.number("Q")
    parts, bits = product(walk, shape.dimension)
    check(code == (parts * bits + 7) // 8, "codes of another size")
    lists(walk, shape, count, code)
    return shape


def _listed_fast_products(walk: FaissReader) -> Shape:
    shape, count = _with_lists(walk)
    walk.flag()
    code, block, even, how, together = (walk.number(form) for form in ("Q", "i", "Q", "i", "Q"))
    parts, bits = product(walk, shape.dimension)
    check(bits == _NIBBLE and (how, together) == (0, 0), "a search of another type")
    check(code == (parts * bits + 7) // 8, "codes of another size")
    _check_blocks(block, parts, even)
    blocks(walk, shape, count, block, block * even // 2)
    return shape


def _listed_bits(several: bool) -> Callable[[FaissReader], Shape]:
    def walked(walk: FaissReader) -> Shape:
        shape, count = _with_lists(walk)
        code = rabitq(walk, shape.dimension, several=several)
        check(walk.number("Q") == code, "codes of another size")
        walk.flag()
        check(walk.number("B") <= _MOST_BITS, "queries of other bits")
        lists(walk, shape, count, code)
        return shape

    return walked


def _check_blocks(block: int, parts: int, even: int) -> None:
    check(block == _BLOCK and even == parts + parts % 2, "codes packed otherwise")


def _turned(walk: FaissReader) -> Shape:
    shape = walk.header()
    count, dimension = walk.number("i"), shape.dimension
    check(1 <= count <= _MOST_TRANSFORMS, f"{count} transforms")
    for _ in range(count):
        dimension = transform(walk, dimension)
    check(_index(walk) == Shape(dimension, shape.count), "an index of other vectors")
    return shape


def _refined(walk: FaissReader) -> Shape:
    shape = walk.header()
    check(_index(walk) == shape and _index(walk, (b"IxFI", b"IxSQ")) == shape, "indexes of other vectors")
    walk.real(1, _MOST_FACTOR)
    return shape


def _graph(*storage: bytes, cagra: bool = False) -> Callable[[FaissReader], Shape]:
    def walked(walk: FaissReader) -> Shape:
        shape, base_only = walk.header(), False
        if cagra:
            walk.flag()
            base_only, entries, numbers = walk.flag(), walk.number("i"), walk.number("i")
            check(1 <= entries <= _MOST_ENTRIES and numbers in (0, 1), "a graph entered otherwise")
        hnsw(walk, shape.count, base_only=base_only)
        check(_index(walk, storage) == shape, "a graph of other vectors")
        return shape

    return walked


def _nsg(walk: FaissReader) -> Shape:
    shape = walk.header()
    for form in "iBiiii":
        walk.number(form)
    nsg(walk, shape.count)
    check(_index(walk, (b"IxFI",)) == shape, "a graph of other vectors")
    return shape


_TYPES: dict[bytes, Callable[[FaissReader], Shape]] = {
    b"IxFI": _flat,
    b"IxSQ": _scalars,
    b"IxPq": _products,
    b"IPfs": _fast_products,
    b"Ixrq": _bits(several=False),
    b"Ixrr": _bits(several=True),
    b"IwFl": _listed_flat,
    b"IwSq": _listed_scalars,
    b"IwPQ": _listed_products,
    b"IwPf": _listed_fast_products,
    b"Iwrq": _listed_bits(several=False),
    b"Iwrr": _listed_bits(several=True),
    b"IxPT": _turned,
    b"IxRF": _refined,
    b"IHNf": _graph(b"IxFI"),
    b"IHNs": _graph(b"IxSQ"),
    b"IHc2": _graph(b"IxFI", b"IxSQ", cagra=True),
    b"INSf": _nsg,
}
#: What FAISS calls the same.
_CLASSES = {
    "IndexFlat",
    "IndexFlatIP",
    "IndexScalarQuantizer",
    "IndexPQ",
    "IndexPQFastScan",
    "IndexRaBitQ",
    "IndexIVFFlat",
    "IndexIVFScalarQuantizer",
    "IndexIVFPQ",
    "IndexIVFPQFastScan",
    "IndexIVFRaBitQ",
    "IndexPreTransform",
    "IndexRefine",
    "IndexRefineFlat",
    "IndexHNSWFlat",
    "IndexHNSWSQ",
    "IndexHNSWCagra",
    "IndexNSGFlat",
}
_TURNS = {"RandomRotationMatrix", "LinearTransform", "OPQMatrix", "PCAMatrix", "NormalizationTransform"}
