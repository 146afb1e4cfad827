"""Validates the known FAISS index types; `read_index` selects the type by its four-character code."""

from collections.abc import Callable

from glimpse.index.faiss_validation.components import (
    VECTOR_NUMBERS,
    blocks,
    dimension_bytes,
    hnsw,
    lists,
    nsg,
    product,
    rabitq,
    scalar,
    transform,
)
from glimpse.index.faiss_validation.reader import FaissReader, Shape, check

_NIBBLE = 4
#: Vectors in a block of codes packed for fast scanning.
BLOCK_VECTORS = 32
# Bits of a query that is compared with bit codes.
_MAX_QUERY_BITS = 8
_MAX_TRANSFORMS, _MAX_FACTOR, _MAX_ENTRIES = 4, 1_000, 1 << 16


def read_index(reader: FaissReader, among: tuple[bytes, ...] = ()) -> Shape:
    """Reads an index of one of the types `among`, or of any known type if it is empty."""
    reader.deeper()
    kind = reader.array("u1", 4).tobytes()
    check(kind in _READERS and (not among or kind in among), f"an index of type {kind!r}")
    return _READERS[kind](reader)


def _flat(reader: FaissReader) -> Shape:
    shape = reader.header()
    reader.vector("f4", shape.dimension * shape.count)
    return shape


def _scalars(reader: FaissReader) -> Shape:
    shape = reader.header()
    code = scalar(reader, shape.dimension)
    reader.vector("u1", code * shape.count)
    return shape


def _products(reader: FaissReader) -> Shape:
    shape = reader.header()
    parts, bits = product(reader, shape.dimension)
    reader.vector("u1", (parts * bits + 7) // 8 * shape.count)
    check(reader.number("i") == 0, "a search of another type")
    reader.flag()
    reader.number("i")
    return shape


def _fast_products(reader: FaissReader) -> Shape:
    shape = reader.header()
    parts, bits = product(reader, shape.dimension)
    implementation, block, qbs = (reader.number("i") for _ in range(3))
    padded, even = reader.number("Q"), reader.number("Q")
    check(bits == _NIBBLE and (implementation, qbs) == (0, 0), "a search of another type")
    _check_blocks(block, parts, even)
    check(padded == -(-shape.count // block) * block, "codes of other vectors")
    reader.vector("u1", padded * even // 2)
    return shape


def _bits(several: bool) -> Callable[[FaissReader], Shape]:
    def read(reader: FaissReader) -> Shape:
        shape = reader.header()
        code = rabitq(reader, shape.dimension, several=several)
        reader.vector("u1", code * shape.count)
        reader.vector("f4", shape.dimension)
        check(reader.number("B") <= _MAX_QUERY_BITS, "queries of other bits")
        return shape

    return read


def _with_lists(reader: FaissReader) -> tuple[Shape, int]:
    """Reads what every index with lists starts with; returns its shape and the number of lists."""
    shape = reader.header()
    count, probed = reader.number("Q"), reader.number("Q")
    check(1 <= probed <= count, f"{probed} of {count} lists searched")
    centres = read_index(reader, (b"IxFI", b"IHNf", b"IHNs"))
    check(centres == Shape(shape.dimension, count), "lists of other centres")
    check(reader.number("B") == 0, "a map of rows to lists")
    reader.vector("i8", 0)
    return shape, count


def _listed_flat(reader: FaissReader) -> Shape:
    shape, count = _with_lists(reader)
    lists(reader, shape, count, 4 * shape.dimension)
    return shape


def _listed_scalars(reader: FaissReader) -> Shape:
    shape, count = _with_lists(reader)
    code = scalar(reader, shape.dimension)
    check(reader.number("Q") == code, "codes of another size")
    reader.flag()
    lists(reader, shape, count, code)
    return shape


def _listed_products(reader: FaissReader) -> Shape:
    shape, count = _with_lists(reader)
    reader.flag()
    code = reader.number("Q")
    parts, bits = product(reader, shape.dimension)
    check(code == (parts * bits + 7) // 8, "codes of another size")
    lists(reader, shape, count, code)
    return shape


def _listed_fast_products(reader: FaissReader) -> Shape:
    shape, count = _with_lists(reader)
    reader.flag()
    code, block, even, implementation, qbs = (reader.number(form) for form in ("Q", "i", "Q", "i", "Q"))
    parts, bits = product(reader, shape.dimension)
    check(bits == _NIBBLE and (implementation, qbs) == (0, 0), "a search of another type")
    check(code == (parts * bits + 7) // 8, "codes of another size")
    _check_blocks(block, parts, even)
    blocks(reader, shape, count, block, block * even // 2)
    return shape


def _listed_bits(several: bool) -> Callable[[FaissReader], Shape]:
    def read(reader: FaissReader) -> Shape:
        shape, count = _with_lists(reader)
        code = rabitq(reader, shape.dimension, several=several)
        check(reader.number("Q") == code, "codes of another size")
        reader.flag()
        check(reader.number("B") <= _MAX_QUERY_BITS, "queries of other bits")
        lists(reader, shape, count, code)
        return shape

    return read


def _listed_fast_bits(reader: FaissReader) -> Shape:
    shape, count = _with_lists(reader)
    code = rabitq(reader, shape.dimension, several=True)
    # More bits of a coordinate, or codes of vectors that are not relative to their list's centre, are stored otherwise.
    check(code == dimension_bytes(shape.dimension) and reader.flag(), "codes of another kind")
    stated, block, qbs, even, implementation = (reader.number(form) for form in ("Q", "i", "Q", "Q", "i"))
    check(stated == code, "codes of another size")
    check((implementation, qbs) == (0, 0), "a search of another type")
    check(1 <= reader.number("B") <= _MAX_QUERY_BITS and not reader.flag(), "queries of other bits")
    parts = -(-shape.dimension // _NIBBLE)
    _check_blocks(block, parts, even)
    # Each block ends with the two numbers of each of its vectors.
    blocks(reader, shape, count, block, block * even // 2 + block * VECTOR_NUMBERS)
    return shape


def _check_blocks(block: int, parts: int, even: int) -> None:
    check(block == BLOCK_VECTORS and even == parts + parts % 2, "codes packed in another way")


def _transformed(reader: FaissReader) -> Shape:
    shape = reader.header()
    count, dimension = reader.number("i"), shape.dimension
    check(1 <= count <= _MAX_TRANSFORMS, f"{count} transforms")
    for _ in range(count):
        dimension = transform(reader, dimension)
    check(read_index(reader) == Shape(dimension, shape.count), "an index of other vectors")
    return shape


def _refined(reader: FaissReader) -> Shape:
    shape = reader.header()
    check(read_index(reader) == shape and read_index(reader, (b"IxFI", b"IxSQ")) == shape, "indexes of other vectors")
    reader.real(1, _MAX_FACTOR)
    return shape


def _graph(*storage: bytes, cagra: bool = False) -> Callable[[FaissReader], Shape]:
    def read(reader: FaissReader) -> Shape:
        shape, base_only = reader.header(), False
        if cagra:
            reader.flag()
            base_only, entries, numbers = reader.flag(), reader.number("i"), reader.number("i")
            check(1 <= entries <= _MAX_ENTRIES and numbers in (0, 1), "another kind of graph entry")
        hnsw(reader, shape.count, base_only=base_only)
        check(read_index(reader, storage) == shape, "a graph of other vectors")
        return shape

    return read


def _nsg(reader: FaissReader) -> Shape:
    shape = reader.header()
    for form in "iBiiii":
        reader.number(form)
    nsg(reader, shape.count)
    check(read_index(reader, (b"IxFI",)) == shape, "a graph of other vectors")
    return shape


_READERS: dict[bytes, Callable[[FaissReader], Shape]] = {
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
    b"Iwrn": _listed_fast_bits,
    b"IxPT": _transformed,
    b"IxRF": _refined,
    b"IHNf": _graph(b"IxFI"),
    b"IHNs": _graph(b"IxSQ"),
    b"IHc2": _graph(b"IxFI", b"IxSQ", cagra=True),
    b"INSf": _nsg,
}
#: FAISS's class names of these types.
CLASSES = {
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
    "IndexIVFRaBitQFastScan",
    "IndexPreTransform",
    "IndexRefine",
    "IndexRefineFlat",
    "IndexHNSWFlat",
    "IndexHNSWSQ",
    "IndexHNSWCagra",
    "IndexNSGFlat",
}
TRANSFORMS = {"RandomRotationMatrix", "LinearTransform", "OPQMatrix", "PCAMatrix", "NormalizationTransform"}
