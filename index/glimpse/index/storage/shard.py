"""Shards: Parquet files of vectors with id, label, domain, source and digest of each row."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.index.errors import IndexFolderError
from glimpse.index.storage.atomic_files import atomic
from glimpse.index.storage.manifest import VectorType
from glimpse.index.types import Vectors

#: Rows of a row group, the smallest part that is decoded for one id or source.
GROUP = 1_024
#: Rows of a full shard: 100 MB of float16 at 512 coordinates.
SHARD_SIZE = 100_000
_TYPES: dict[str, Any] = {"float16": pa.float16(), "float32": pa.float32()}
_VALUES = "vector.list.element"


def schema(dimension: int, vector_type: VectorType) -> pa.Schema:
    """Returns the schema of a shard.

    Vectors have unit length. `digest` is the SHA-256 of the embedded content. `about` is a JSON object with metadata,
    or null.
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
    """Builds a table of n rows from lists of n values and vectors, (n, d)."""
    form = schema(vectors.shape[1], vector_type)
    pairs = zip((ids, labels, domains, sources, digests, about or [None] * len(ids)), form, strict=False)
    columns = [pa.array(column, field.type) for column, field in pairs]
    values = pa.array(np.ascontiguousarray(vectors, vector_type).reshape(-1))
    columns.append(pa.FixedSizeListArray.from_arrays(values, type=form.field("vector").type))
    return pa.Table.from_arrays(columns, schema=form)


def write_shard(path: Path, table: pa.Table) -> None:
    """Writes a shard completely or not at all; the same rows always give the same bytes.

    Args:
        path: a file in an existing folder.
        table: rows of `schema`.

    Raises:
        OSError: the file cannot be written.
        pa.ArrowInvalid: the rows do not fit the schema.
    """
    form = schema_of(table.schema, path)
    width = form.field("vector").type.list_size * form.field("vector").type.value_type.bit_width // 8
    with atomic(path) as temporary:
        pq.write_table(
            # One chunk, because chunk boundaries would show in the pages.
            table.select(form.names).cast(form).combine_chunks(),
            temporary,
            row_group_size=GROUP,
            compression={**dict.fromkeys(form.names[:-1], "zstd"), _VALUES: "none"},
            use_dictionary=["label", "domain"],
            write_statistics=False,
            # One page of vectors per row group, so that they can be read in place.
            data_page_size=2 * GROUP * width + 1_000_000,
        )


def schema_of(actual: pa.Schema, path: Path) -> pa.Schema:
    """Returns the shard schema of given columns. Raises IndexFolderError if they are not those of a shard."""
    place = actual.get_field_index("vector")
    kind = actual.field(place).type if place >= 0 else None
    if kind is not None and pa.types.is_fixed_size_list(kind):
        for name, value in _TYPES.items():
            if kind.value_type == value:
                form = schema(kind.list_size, name)  # type: ignore[arg-type]
                if actual.names == form.names and all(map(_alike, actual, form)):
                    return form
    raise IndexFolderError(path, "does not have the columns of a shard", "build the index again")


def _alike(actual: pa.Field, wanted: pa.Field) -> bool:
    # Names and nullability inside lists differ between writers and do not matter.
    if wanted.name == "vector":
        return bool(actual.name == "vector")
    return bool(actual.name == wanted.name and actual.type == wanted.type)


def metadata_in(about: str | None) -> dict[str, Any]:
    """Returns the metadata in the column `about` of a row; {} if it is not a JSON object."""
    try:
        metadata = json.loads(about or "{}")
    except (ValueError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def group_in(about: str | None) -> str | None:
    """Returns the group in the column `about` of a row; None if it is in none."""
    group = metadata_in(about).get("group")
    return group if isinstance(group, str) and group else None
