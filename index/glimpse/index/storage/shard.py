"""What a shard of an index is, and how it is written: a Parquet file of vectors and what is known of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.index.errors import IndexFolderError
from glimpse.index.search.flat_index import Vectors
from glimpse.index.storage.atomic_files import atomic
from glimpse.index.storage.manifest import VectorType

#: Rows of a row group: the least that is decoded for one id or source.
GROUP = 1_024
#: Rows of a full shard: 100 MB of float16 at 512 coordinates.
SHARD_SIZE = 100_000
_TYPES: dict[str, Any] = {"float16": pa.float16(), "float32": pa.float32()}
_VALUES = "vector.list.element"


def schema(dimension: int, vector_type: VectorType) -> pa.Schema:
    """Of a shard. Vectors are of unit length; digests the sha256 of what was embedded.

    `about`: a JSON object of what else is known, or null: of what a server enrolled, its metadata, say.
    """
    value = pa.field("element", _TYPES[vector_type], nullable=False)
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("label", pa.string()),
            pa.field("domain", pa.string()),
            pa.field("source", pa.string(), nullable=False),
            pa.field("digest", pa.binary(32), nullable=False),
            pa.field("about", pa.string()),
            pa.field("vector", pa.list_(value, dimension), nullable=False),
        ]
    )


def rows_table(
    ids: Sequence[str],
    labels: Sequence[str | None],
    domains: Sequence[str | None],
    sources: Sequence[str],
    digests: Sequence[bytes],
    vectors: Vectors,
    vector_type: VectorType,
    about: Sequence[str | None] | None = None,
) -> pa.Table:
    """n rows of a shard, from lists of n and the vectors, (n, d)."""
    form = schema(vectors.shape[1], vector_type)
    told = zip((ids, labels, domains, sources, digests, about or [None] * len(ids)), form, strict=False)
    columns = [pa.array(column, field.type) for column, field in told]
    values = pa.array(np.ascontiguousarray(vectors, vector_type).reshape(-1))
    columns.append(pa.FixedSizeListArray.from_arrays(values, type=form.field("vector").type))
    return pa.Table.from_arrays(columns, schema=form)


def write_shard(path: Path, table: pa.Table) -> None:
    """Writes a shard, whole or not at all: the same rows are the same bytes, whenever. Raises OSError, pa.ArrowInvalid.

    Args:
        path: in a folder that is there.
        table: of `schema`.
    """
    form = schema_of(table.schema, path)
    width = form.field("vector").type.list_size * form.field("vector").type.value_type.bit_width // 8
    with atomic(path) as beside:
        pq.write_table(
            # In one piece: where the pieces end would show in the pages.
            table.select(form.names).cast(form).combine_chunks(),
            beside,
            row_group_size=GROUP,
            compression={**dict.fromkeys(form.names[:-1], "zstd"), _VALUES: "none"},
            use_dictionary=["label", "domain"],
            write_statistics=False,
            # One page of vectors a row group, which is read where it lies.
            data_page_size=2 * GROUP * width + 1_000_000,
        )


def schema_of(given: pa.Schema, path: Path) -> pa.Schema:
    """The schema of a shard with the columns that are given. Raises IndexFolderError where they are of no shard."""
    place = given.get_field_index("vector")
    kind = given.field(place).type if place >= 0 else None
    if kind is not None and pa.types.is_fixed_size_list(kind):
        for name, value in _TYPES.items():
            if kind.value_type == value:
                form = schema(kind.list_size, name)  # type: ignore[arg-type]
                if given.names == form.names and all(map(_alike, given, form)):
                    return form
    raise IndexFolderError(path, "has not the columns of a shard of vectors", "build the index anew")


def _alike(given: pa.Field, wanted: pa.Field) -> bool:
    # Names and nullability inside lists differ between writers, and mean nothing.
    if wanted.name == "vector":
        return bool(given.name == "vector")
    return bool(given.name == wanted.name and given.type == wanted.type)
