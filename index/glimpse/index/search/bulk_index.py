"""Opens an index folder and searches it on disk, whatever its FAISS type."""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
import pyarrow as pa

from glimpse.index.errors import IndexFolderError, faiss_message
from glimpse.index.faiss_validation.validator import check_file
from glimpse.index.search.gpu_copy import GpuCopy
from glimpse.index.search.id_selectors import Mask, search_among
from glimpse.index.search.result_order import ordered
from glimpse.index.storage.id_table import IdTable
from glimpse.index.storage.label_sums import Counts, Sums, mapped, read_sums
from glimpse.index.storage.manifest import LABELS_NAME, Manifest, read_manifest
from glimpse.index.storage.shard import group_in, metadata_in
from glimpse.index.storage.shard_set import Shards
from glimpse.index.types import Ids, Vectors

# FAISS's type stubs lack some names.
_faiss: Any = faiss

# With fewer allowed rows than this, all are compared, in tens of milliseconds: with one allowed row in thousands, lists
# and graphs reach almost no allowed neighbour. 20,000 rows take 40 to 100 ms, and a search with a selector
# less.
_COMPARED = 5_000
# The key of a row's group in its metadata; rows whose text lacks it are not parsed.
_GROUP = '"group"'


class BulkIndex:
    """The rows of an index folder, numbered from 0. It never changes and is thread-safe.

    Files are mapped into memory and stay readable if the folder is replaced or removed. If FAISS sees a GPU that can
    hold the type, a copy on the GPU is searched.

    Attributes:
        manifest: the folder's manifest.
        labels: label names, sorted.
        label_codes: position of each row's label in `labels`, (N,); -1 for none.
        domains: domain names, sorted.
        domain_codes: position of each row's domain in `domains`, (N,); -1 for none.
        searched: the device that is searched, and the reason.
    """

    def __init__(self, manifest: Manifest, shards: Shards, index: Any, folder: Path, *, gpu: bool) -> None:
        """Wraps opened parts; use `open`."""
        self.manifest = manifest
        self._shards, self._index = shards, index
        self._gpu, self.searched = GpuCopy.of(index) if gpu else (None, "on the processor, as the setting asks")
        # Some GPU searches compute in half precision.
        self._exact = self._gpu is None and _has_cosines(index)
        self._sums = mapped(folder / LABELS_NAME) if manifest.labels_sha256 else None
        self._ids = shards.column("id")
        self.labels, self.label_codes = shards.codes("label")
        self.domains, self.domain_codes = shards.codes("domain")

    @classmethod
    def open(cls, folder: Path, *, gpu: bool = True) -> Self:
        """Opens a folder; takes some tenths of a second for a million rows.

        Files are not compared with their digests; see `verify`.

        Args:
            folder: the index's folder.
            gpu: whether a copy on a GPU is searched, where there is one that can hold it.

        Raises:
            IndexFolderError: the folder is not a valid index.
        """
        manifest = read_manifest(folder)
        shards = open_shards(folder, manifest)
        opened = cls(manifest, shards, open_faiss(folder, manifest), folder, gpu=gpu)
        counts = {"labels": len(opened.labels), "domains": len(opened.domains)}
        wanted = {"labels": manifest.label_count, "domains": manifest.domain_count}
        if counts != wanted:
            raise IndexFolderError(folder, f"the shards have {counts}, the manifest {wanted}", "build the index again")
        return opened

    def __len__(self) -> int:
        return self.manifest.count

    def id(self, row: int) -> str:
        """Returns the id of a row. Raises IndexError."""
        if row < 0:
            raise IndexError(row)
        return str(self._ids[row].as_py())

    def row_of(self, id: str) -> int | None:
        """Returns the row of an id, or None. The first call builds a table: some tenths of a second for a million."""
        return self._table.row(id)

    @cached_property
    def _table(self) -> IdTable:
        return IdTable(self._ids)

    def source(self, row: int) -> str:
        """Returns the source of a row, such as a path. Raises IndexError."""
        return str(self._shards.cell("source", row))

    def digest(self, row: int) -> bytes:
        """Returns the SHA-256 of a row's content. Raises IndexError."""
        return bytes(self._shards.cell("digest", row))

    def label(self, row: int) -> str | None:
        """Returns the label of a row, or None."""
        code = int(self.label_codes[row])
        return self.labels[code] if code >= 0 else None

    def domain(self, row: int) -> str | None:
        """Returns the domain of a row, or None."""
        code = int(self.domain_codes[row])
        return self.domains[code] if code >= 0 else None

    def among(self, labels: Collection[str], domains: Collection[str]) -> Mask:
        """Returns a mask (N,) of the rows with one of these labels and one of these domains; empty allows all."""
        mask = np.ones(len(self), bool)
        for wanted, names, codes in (
            (labels, self.labels, self.label_codes),
            (domains, self.domains, self.domain_codes),
        ):
            if wanted:
                # The last entry is for rows without a name, whose code is -1.
                mask &= np.array([*(name in wanted for name in names), False])[codes]
        return mask

    @property
    def exhaustive(self) -> bool:
        """True if a search compares every row."""
        return self.manifest.index.factory.startswith(("Flat", "SQ"))

    def about(self, row: int) -> dict[str, Any]:
        """Returns a row's metadata; {} if it is not a JSON object. Raises IndexError."""
        return metadata_in(self._shards.cell("about", row))

    def groups(self) -> Iterator[tuple[int, str]]:
        """Yields each row that is in a group, with the group; reads all rows, shard by shard."""
        import pyarrow.compute as pc  # takes a twentieth of a second

        first = 0
        for piece in self._shards.pieces("about"):
            some = np.flatnonzero(pc.match_substring(piece, _GROUP).fill_null(False).to_numpy(zero_copy_only=False))
            for row, text in zip((first + some).tolist(), piece.take(some).to_pylist(), strict=True):
                if group := group_in(text):
                    yield row, group
            first += len(piece)

    def content_keys(self) -> Ids:
        """Returns the first 8 bytes of every row's SHA-256 as a number, (N,), shard by shard.

        Takes some tenths of a second for a million rows.
        """
        parts = (b"".join(digest[:8] for digest in piece.to_pylist()) for piece in self._shards.pieces("digest"))
        return np.frombuffer(b"".join(parts), "<i8")

    def label_sums(self) -> tuple[Counts, Sums]:
        """Returns the number of rows of each label, (C,), and the sums of their vectors, (C, d). Raises
        IndexFolderError.
        """
        if self._sums is None:
            return np.empty(0, np.int64), np.empty((0, self.manifest.dimension))
        counts, sums = read_sums(self._sums, self.labels, self.manifest.dimension)
        if (counts != np.bincount(self.label_codes[self.label_codes >= 0], minlength=len(self.labels))).any():
            # A build was killed between its last renames.
            raise IndexFolderError(self._sums.path, "does not belong to these shards", "build with --resume")
        return counts, sums

    def vectors(self, rows: Ids | Sequence[int]) -> Vectors:
        """Returns the unit vectors, (n, d), of rows, (n,). Raises IndexError."""
        return self._shards.vectors(rows)

    def tables(self, keep: Mask | None = None) -> Iterator[pa.Table]:
        """Yields rows as they are stored, in order and in parts, to copy them to another index.

        Args:
            keep: mask of the rows, (N,); None for all.
        """
        return self._shards.tables(keep)

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Vectors, Ids]:
        """Finds the k nearest rows of each query.

        The manifest's measurements say how many of the true nearest are found. Cosines are exact in any case.

        Args:
            queries: unit vectors, (n, d).
            k: at least 1.
            allowed: mask of the rows to search, (N,); None for all.

        Returns:
            Cosines and rows, each (n, k), nearest first; row -1 and cosine -1 if there are fewer.
        """
        rows = np.ascontiguousarray(queries, np.float32)
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        some = min(k, count)
        if some == 0 or not len(rows):
            return _filled(np.empty((len(rows), 0), np.float32), np.empty((len(rows), 0), np.int64), k)
        allowed = None if count == len(self) else allowed
        if allowed is not None and count < _COMPARED:
            cosines, nearest = self._compare(rows, some, np.flatnonzero(allowed))
            return _filled(cosines, nearest, k)
        found = self._gpu.search(rows, some, allowed, count) if self._gpu else None
        if found is None:
            found = self._here(rows, some, allowed, count)
        cosines, nearest = found if self._exact else self._corrected(rows, found[1])
        return _filled(cosines, nearest, k)

    def _here(self, queries: Vectors, k: int, allowed: Mask | None, count: int) -> tuple[Vectors, Ids]:
        if allowed is not None:
            return search_among(self._index, queries, k, allowed, count)
        similarities, rows = self._index.search(queries, k)
        return similarities, rows

    def _compare(self, queries: Vectors, k: int, rows: Ids) -> tuple[Vectors, Ids]:
        cosines = queries @ self.vectors(rows).T
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        return ordered(np.take_along_axis(cosines, nearest, 1), rows[nearest])

    def _corrected(self, queries: Vectors, rows: Ids) -> tuple[Vectors, Ids]:
        distinct, place = np.unique(rows[rows >= 0], return_inverse=True)
        cosines = np.full(rows.shape, -1, np.float32)
        cells = np.nonzero(rows >= 0)
        cosines[cells] = np.einsum("ij,ij->i", queries[cells[0]], self.vectors(distinct)[place])
        return ordered(cosines, rows)


def open_shards(folder: Path, manifest: Manifest) -> Shards:
    """Opens the shards of a manifest and checks their size and type. Raises IndexFolderError."""
    paths = manifest.shard_paths(folder)
    shards = Shards(paths, manifest.dimension)
    for path, shard, rows in zip(paths, manifest.shards, shards.rows, strict=True):
        if rows != shard.rows:
            raise IndexFolderError(path, f"has {rows} rows, the manifest {shard.rows}", "build the index again")
    if shards.vector_types - {manifest.vector_type}:
        raise IndexFolderError(folder, f"its vectors are not {manifest.vector_type}", "build the index again")
    return shards


def open_faiss(folder: Path, manifest: Manifest) -> Any:
    """Validates and maps the FAISS index of a manifest. Raises IndexFolderError."""
    path = folder / manifest.index.file
    size = path.stat().st_size
    if size != manifest.index.bytes:
        raise IndexFolderError(path, f"has {size} bytes, the manifest {manifest.index.bytes}", "build the index again")
    check_file(path, manifest.dimension, manifest.count)
    try:
        return faiss.read_index(str(path), _faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise IndexFolderError(path, f"FAISS cannot read it: {faiss_message(error)}", "build the index again") from None


def _has_cosines(index: Any) -> bool:
    """Returns whether search results have exact cosines, to 0.0002; other types return estimates that are off by some
    tenths.
    """
    index = faiss.downcast_index(index)
    if isinstance(index, _faiss.IndexRefine):
        return _has_cosines(index.refine_index)
    if isinstance(index, _faiss.IndexHNSW):
        return _has_cosines(index.storage)
    if isinstance(index, _faiss.IndexScalarQuantizer | _faiss.IndexIVFScalarQuantizer):
        return bool(index.sq.qtype == _faiss.ScalarQuantizer.QT_fp16)
    return isinstance(index, _faiss.IndexFlat | _faiss.IndexIVFFlat)


def _filled(cosines: Vectors, rows: Ids, k: int) -> tuple[Vectors, Ids]:
    """Pads results to k columns; FAISS leaves large negative numbers where it found nothing."""
    wider = ((0, 0), (0, k - rows.shape[1]))
    # A file may hold vectors of any length, or NaN.
    cosines = np.clip(np.nan_to_num(np.where(rows < 0, np.float32(-1), cosines), nan=-1), -1, 1)
    cosines = np.pad(cosines, wider, constant_values=-1)
    return cosines, np.pad(rows, wider, constant_values=-1)
