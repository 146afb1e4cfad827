"""Vectors to neighbours, through FAISS; and folders of very many of them."""

from glimpse.index.bulk import BulkIndex
from glimpse.index.candidates import CandidateIndex
from glimpse.index.errors import IndexFolderError
from glimpse.index.files import atomic, digest
from glimpse.index.filters import Mask
from glimpse.index.finish import finish
from glimpse.index.flat import FlatIndex, Ids, Vectors
from glimpse.index.layered import Among, Base, LayeredIndex, first_id
from glimpse.index.manifest import (
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
from glimpse.index.merge import compact, merge
from glimpse.index.progress import Watch, silent
from glimpse.index.shard import SHARD_SIZE, rows_table, schema, write_shard
from glimpse.index.shards import Codes, Shards
from glimpse.index.verify import verify
from glimpse.index.write import write_index

__all__ = [
    "GIVEN",
    "SHARD_SIZE",
    "Among",
    "Base",
    "BulkIndex",
    "CandidateIndex",
    "Codes",
    "FaissIndex",
    "FlatIndex",
    "Header",
    "Ids",
    "IndexFolderError",
    "LayeredIndex",
    "Manifest",
    "Mask",
    "Measured",
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
    "first_id",
    "merge",
    "read_manifest",
    "rows_table",
    "schema",
    "silent",
    "verify",
    "write_index",
    "write_manifest",
    "write_shard",
]
