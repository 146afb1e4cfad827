"""Validates an untrusted FAISS file before FAISS reads it.

FAISS trusts what a file declares: wrong sizes, counts and row numbers make it read and write outside of its memory.
Therefore only known index types are accepted, and everything in them that is used as a size, count or pointer is
checked. Codes and coordinates may have any value.

The layouts are those of the FAISS versions in `CHECKED_VERSIONS`. Compare FAISS's reader (impl/index_read.cpp) before
adding a version.
"""

from pathlib import Path
from typing import Any

import faiss

from glimpse.index.errors import IndexFolderError
from glimpse.index.faiss_validation.index_types import BLOCK_VECTORS, CLASSES, TRANSFORMS, read_index
from glimpse.index.faiss_validation.reader import FaissReader, Shape, UnsafeIndexFile, check

# FAISS's type stubs lack some names.
_faiss: Any = faiss

#: The versions of FAISS whose file layouts are validated here.
CHECKED_VERSIONS = ("1.15.1",)


def check_file(path: Path, dimension: int, count: int) -> None:
    """Checks that FAISS may read a file, and that it has `count` vectors of `dimension`.

    Raises:
        IndexFolderError: the file is not safe or has another shape.
    """
    try:
        reader = FaissReader(path)
        shape = read_index(reader)
        check(reader.left == 0, "data after the index")
    except (OSError, ValueError, UnsafeIndexFile) as error:
        raise IndexFolderError(path, f"is not a safe FAISS file: {error}", "build the index again") from None
    if shape != Shape(dimension, count):
        message = f"has {shape.count} vectors of dimension {shape.dimension}, the manifest {count} of {dimension}"
        raise IndexFolderError(path, message, "build the index again")


def readable(index: Any) -> bool:
    """Returns whether the file of an index, filled or empty, has a known type."""
    # `index` must stay referenced, because the view does not own it.
    view: Any = faiss.downcast_index(index)
    parts = [getattr(view, name, None) for name in ("quantizer", "base_index", "refine_index", "index", "storage")]
    transforms = [_faiss.downcast_VectorTransform(view.chain.at(i)) for i in range(_chain(view))]
    # Codes packed in other blocks are searched in another way, and several bits are packed in another way.
    packed = getattr(view, "bbs", BLOCK_VECTORS) == BLOCK_VECTORS
    packed &= not isinstance(view, _faiss.IndexIVFRaBitQFastScan) or view.rabitq.nb_bits == 1
    known_type = type(view).__name__ in CLASSES and packed
    known = known_type and all(type(step).__name__ in TRANSFORMS for step in transforms)
    return known and all(readable(part) for part in parts if part is not None)


def _chain(index: Any) -> int:
    return int(index.chain.size()) if isinstance(index, _faiss.IndexPreTransform) else 0
