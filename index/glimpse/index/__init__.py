"""Vector indexes on FAISS: indexes in memory that change, and immutable index folders of many vectors."""

from glimpse.index.building.finalize import finish
from glimpse.index.building.merge import compact, merge
from glimpse.index.building.writer import write_index
from glimpse.index.errors import IndexFolderError
from glimpse.index.integrity.verify import verify
from glimpse.index.progress import Watch, silent
from glimpse.index.search.ann_index import CandidateIndex
from glimpse.index.search.bulk_index import BulkIndex
from glimpse.index.search.device import Device, first_gpu
from glimpse.index.search.flat_index import FlatIndex
from glimpse.index.search.id_selectors import Mask
from glimpse.index.search.neighbor_graph import NeighborGraph, neighbor_graph
from glimpse.index.search.overlay_index import Among, Base, LayeredIndex, first_id
from glimpse.index.storage.atomic_files import atomic, digest
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
from glimpse.index.storage.shard import SHARD_SIZE, rows_table, schema, write_shard
from glimpse.index.storage.shard_set import Codes, Shards
from glimpse.index.types import Ids, Vectors

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
