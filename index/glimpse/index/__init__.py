"""Vector indexes on FAISS: indexes in memory that change, and immutable index folders of many vectors.

Names that read or write the rows of a folder need pyarrow, the extra `index`. They are imported on first use, so that a
server without an index needs no pyarrow, which takes 170 MB.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glimpse.files.digest import digest
from glimpse.index.errors import IndexFolderError
from glimpse.index.progress import Watch, silent
from glimpse.index.search.ann_index import CandidateIndex
from glimpse.index.search.device import Device, first_gpu
from glimpse.index.search.flat_index import FlatIndex
from glimpse.index.search.id_selectors import Mask
from glimpse.index.search.neighbor_graph import NeighborGraph, neighbor_graph
from glimpse.index.search.overlay_index import Among, Base, LayeredIndex, first_id
from glimpse.index.storage.atomic_files import atomic
from glimpse.index.storage.manifest import (
    GIVEN,
    FaissIndex,
    Header,
    Manifest,
    Measured,
    Search,
    Shard,
    VectorType,
    read_manifest,
    write_manifest,
)
from glimpse.index.types import Ids, Vectors

if TYPE_CHECKING:
    from glimpse.index.building.finalize import finish
    from glimpse.index.building.merge import compact, merge
    from glimpse.index.building.writer import write_index
    from glimpse.index.integrity.verify import verify
    from glimpse.index.search.bulk_index import BulkIndex
    from glimpse.index.storage.shard import SHARD_SIZE, rows_table, schema, write_shard
    from glimpse.index.storage.shard_set import Codes, Shards

__all__ = [
    "GIVEN",
    "SHARD_SIZE",
    "Among",
    "Base",
    "BulkIndex",
    "CandidateIndex",
    "Codes",
    "Device",
    "FaissIndex",
    "FlatIndex",
    "Header",
    "Ids",
    "IndexFolderError",
    "LayeredIndex",
    "Manifest",
    "Mask",
    "Measured",
    "NeighborGraph",
    "Search",
    "Shard",
    "Shards",
    "VectorType",
    "Vectors",
    "Watch",
    "atomic",
    "compact",
    "digest",
    "finish",
    "first_gpu",
    "first_id",
    "merge",
    "neighbor_graph",
    "read_manifest",
    "rows_table",
    "schema",
    "silent",
    "verify",
    "write_index",
    "write_manifest",
    "write_shard",
]

_MODULES = {
    "building.finalize": ("finish",),
    "building.merge": ("compact", "merge"),
    "building.writer": ("write_index",),
    "integrity.verify": ("verify",),
    "search.bulk_index": ("BulkIndex",),
    "storage.shard": ("SHARD_SIZE", "rows_table", "schema", "write_shard"),
    "storage.shard_set": ("Codes", "Shards"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a name that needs pyarrow. Raises ModuleNotFoundError without it."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value
