"""labels.parquet: how many rows each label has, and the sum of their vectors. Heads start from it at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.index.errors import IndexFolderError, unreadable
from glimpse.index.storage.atomic_files import synced
from glimpse.index.storage.shard import GROUP
from glimpse.index.storage.shard_set import Codes, Shards

Counts = npt.NDArray[np.int64]
Sums = npt.NDArray[np.float64]

# Of float64, at a time: 256 MB.
_SUMMED = 1 << 25


def write_sums(path: Path, shards: Shards, labels: Sequence[str], codes: Codes) -> None:
    """Writes the file, in memory that does not grow with the labels. Raises OSError.

    Args:
        path: of the file.
        shards: N rows.
        labels: (C,), sorted.
        codes: the place of each row's label, (N,); -1 none.
    """
    form = _schema(shards.dimension)
    with pq.ParquetWriter(path, form, compression="none", write_statistics=False) as writer:
        for first, counts, sums in summed(shards, len(labels), codes):
            values = pa.array(sums.astype(np.float32).reshape(-1))
            columns = [
                pa.array(labels[first : first + len(counts)]),
                pa.array(counts),
                pa.FixedSizeListArray.from_arrays(values, type=form.field("sum").type),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=form), GROUP)
    synced(path)


def summed(shards: Shards, labels: int, codes: Codes) -> Iterator[tuple[int, Counts, Sums]]:
    """Some labels at a time: the place of the first, the rows of each, (C,), and the sum of their vectors, (C, d)."""
    step = max(1, _SUMMED // shards.dimension)
    for first in range(0, labels, step):
        yield first, *_sum(shards, codes - first, min(step, labels - first))


@dataclass(frozen=True, slots=True)
class Mapped:
    """The file, which stays readable when another takes its name."""

    path: Path
    content: pa.Buffer


def mapped(path: Path) -> Mapped:
    """Opens the file, and reads nothing. Raises IndexFolderError."""
    try:
        return Mapped(path, pa.memory_map(str(path)).read_buffer())
    except OSError as error:
        raise unreadable(path, error) from None


def read_sums(file: Mapped, labels: Sequence[str], dimension: int) -> tuple[Counts, Sums]:
    """Rows of each label, (C,), and the sum of their vectors, (C, d). Raises IndexFolderError.

    Args:
        file: labels.parquet.
        labels: that it has to have, in this order, (C,).
        dimension: of a vector.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(file.content)).read(use_threads=False).cast(_schema(dimension))
        names = table["label"].to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(file.path, error) from None
    if names != list(labels):
        raise IndexFolderError(file.path, "has not the labels of the shards", "build the index anew")
    sums = table["sum"].combine_chunks().flatten().to_numpy().reshape(-1, dimension)
    if not np.isfinite(sums).all():
        raise IndexFolderError(file.path, "has sums that are no numbers", "build the index anew")
    return table["count"].to_numpy(), sums.astype(np.float64)


def _schema(dimension: int) -> pa.Schema:
    value = pa.field("element", pa.float32(), nullable=False)
    return pa.schema(
        [
            pa.field("label", pa.string(), nullable=False),
            pa.field("count", pa.int64(), nullable=False),
            pa.field("sum", pa.list_(value, dimension), nullable=False),
        ]
    )


def _sum(shards: Shards, codes: Codes, labels: int) -> tuple[Counts, Sums]:
    """Of the codes from 0 on that are of `labels`; others are left out."""
    sums, at = np.zeros((labels, shards.dimension)), 0
    inside = (codes >= 0) & (codes < labels)
    for block in shards.blocks():
        rows = np.flatnonzero(inside[at : at + len(block)])
        part = codes[at + rows]
        at += len(block)
        if len(part):
            order = np.argsort(part, kind="stable")
            there, starts = np.unique(part[order], return_index=True)
            sums[there] += np.add.reduceat(block[rows[order]], starts, axis=0, dtype=np.float64)
    return np.bincount(codes[inside], minlength=labels).astype(np.int64), sums
