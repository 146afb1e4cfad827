"""labels.parquet: the number of rows of each label and the sum of their vectors, from which heads start immediately."""

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

# Number of float64 values at a time (256 MB).
_SUMMED = 1 << 25


def write_sums(path: Path, shards: Shards, labels: Sequence[str], codes: Codes) -> None:
    """Writes the file, with memory that does not depend on the number of labels. Raises OSError.

    Args:
        path: the file.
        shards: N rows.
        labels: label names, sorted, (C,).
        codes: position of each row's label in `labels`, (N,); -1 for none.
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
    """Yields counts and sums of some labels at a time: position of the first label, counts (C,), sums (C, d)."""
    step = max(1, _SUMMED // shards.dimension)
    for first in range(0, labels, step):
        yield first, *_sum(shards, codes - first, min(step, labels - first))


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapped file, which stays readable if another file takes its name."""

    path: Path
    content: pa.Buffer


def mapped(path: Path) -> Mapped:
    """Maps the file without reading it. Raises IndexFolderError."""
    try:
        return Mapped(path, pa.memory_map(str(path)).read_buffer())
    except OSError as error:
        raise unreadable(path, error) from None


def read_sums(file: Mapped, labels: Sequence[str], dimension: int) -> tuple[Counts, Sums]:
    """Returns the number of rows of each label, (C,), and the sums of their vectors, (C, d).

    Args:
        file: labels.parquet.
        labels: expected label names, in order, (C,).
        dimension: dimension of a vector.

    Raises:
        IndexFolderError: the file is damaged or has other labels.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(file.content)).read(use_threads=False).cast(_schema(dimension))
        names = table["label"].to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(file.path, error) from None
    if names != list(labels):
        raise IndexFolderError(file.path, "has other labels than the shards", "build the index again")
    sums = table["sum"].combine_chunks().flatten().to_numpy().reshape(-1, dimension)
    if not np.isfinite(sums).all():
        raise IndexFolderError(file.path, "has sums that are not finite", "build the index again")
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
    """Sums the vectors of codes from 0 to `labels`; others are left out."""
    sums, at = np.zeros((labels, shards.dimension)), 0
    inside = (codes >= 0) & (codes < labels)
    for block in shards.blocks():
        rows = np.flatnonzero(inside[at : at + len(block)])
        part = codes[at + rows]
        at += len(block)
        if len(part):
            order = np.argsort(part, kind="stable")
            present, starts = np.unique(part[order], return_index=True)
            sums[present] += np.add.reduceat(block[rows[order]], starts, axis=0, dtype=np.float64)
    return np.bincount(codes[inside], minlength=labels).astype(np.int64), sums
