"""An index folder, opened: searched where it lies, whatever FAISS type it has."""

import json
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
import pyarrow as pa

from glimpse.index.errors import IndexFolderError, said
from glimpse.index.faiss_validation.validator import check_file
from glimpse.index.search.flat_index import Ids, Vectors
from glimpse.index.search.gpu_copy import Device
from glimpse.index.search.id_selectors import Mask, search_among
from glimpse.index.storage.id_table import IdTable
from glimpse.index.storage.label_sums import Counts, Sums, mapped, read_sums
from glimpse.index.storage.manifest import LABELS_NAME, Manifest, read_manifest
from glimpse.index.storage.shard_set import Shards

# The generated types lack a name or two.
_faiss: Any = faiss

# So few are compared one by one, in tens of milliseconds: what allows some rows of a thousand leaves lists and graphs
# with hardly a neighbour in reach. 20,000 rows take 40 to 100 ms, and a type that is asked with a selector less.
_COMPARED = 5_000


class BulkIndex:
    """The rows of an index folder, numbered from 0. Never changes; safe to use from several threads.

    Files are mapped into memory rather than read, and stay readable when the folder is replaced or removed. Where FAISS
    sees a GPU, a copy there is searched, if GPUs can hold the type.
    """

    def __init__(self, manifest: Manifest, shards: Shards, index: Any, folder: Path) -> None:
        """`open` makes one."""
        self.manifest = manifest
        self._shards, self._index = shards, index
        self._device = Device.of(index)
        # On a GPU some are compared at half precision.
        self._exact = self._device is None and _has_cosines(index)
        self._sums = mapped(folder / LABELS_NAME) if manifest.labels_sha256 else None
        self._ids = shards.column("id")
        #: The names there are, sorted, and the place of each row's in them, (N,); -1 none.
        self.labels, self.label_codes = shards.codes("label")
        self.domains, self.domain_codes = shards.codes("domain")

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Some tenths of a second for a million rows; what files hold is not compared with digests, see `verify`.

        Raises IndexFolderError.
        """
        manifest = read_manifest(folder)
        shards = open_shards(folder, manifest)
        opened = cls(manifest, shards, open_faiss(folder, manifest), folder)
        found = {"labels": len(opened.labels), "domains": len(opened.domains)}
        wanted = {"labels": manifest.label_count, "domains": manifest.domain_count}
        if found != wanted:
            raise IndexFolderError(folder, f"the shards have {found}, the manifest {wanted}", "build the index anew")
        return opened

    def __len__(self) -> int:
        return self.manifest.count

    def id(self, row: int) -> str:
        """Of a row. Raises IndexError."""
        if row < 0:
            raise IndexError(row)
        return str(self._ids[row].as_py())

    def row_of(self, id: str) -> int | None:
        """Where an id is; None: nowhere. The first call makes a table, some tenths of a second for a million."""
        return self._table.row(id)

    @cached_property
    def _table(self) -> IdTable:
        return IdTable(self._ids)

    def source(self, row: int) -> str:
        """What was read. Raises IndexError."""
        return str(self._shards.cell("source", row))

    def digest(self, row: int) -> bytes:
        """The sha256 of the content. Raises IndexError."""
        return bytes(self._shards.cell("digest", row))

    def label(self, row: int) -> str | None:
        """Of a row; None: it has none."""
        code = int(self.label_codes[row])
        return self.labels[code] if code >= 0 else None

    def domain(self, row: int) -> str | None:
        """Of a row; None: it has none."""
        code = int(self.domain_codes[row])
        return self.domains[code] if code >= 0 else None

    def among(self, labels: Collection[str], domains: Collection[str]) -> Mask:
        """The rows of some labels and domains, (N,); empty: of all."""
        found = np.ones(len(self), bool)
        for wanted, names, codes in (
            (labels, self.labels, self.label_codes),
            (domains, self.domains, self.domain_codes),
        ):
            if wanted:
                # The last is of those that have none, whose code is -1.
                found &= np.array([*(name in wanted for name in names), False])[codes]
        return found

    @property
    def exhaustive(self) -> bool:
        """Whether every row is compared in a search."""
        return self.manifest.index.factory.startswith(("Flat", "SQ"))

    def about(self, row: int) -> dict[str, Any]:
        """What else is known of a row; nothing, where it is no JSON object. Raises IndexError."""
        try:
            found = json.loads(self._shards.cell("about", row) or "{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def digests(self) -> list[bytes]:
        """The sha256 of every row's content: some tenths of a second for a million."""
        return list(self._shards.column("digest").to_pylist())

    def label_sums(self) -> tuple[Counts, Sums]:
        """How many rows each of `labels` has, (C,), and the sum of their vectors, (C, d). Raises IndexFolderError."""
        if self._sums is None:
            return np.empty(0, np.int64), np.empty((0, self.manifest.dimension))
        counts, sums = read_sums(self._sums, self.labels, self.manifest.dimension)
        if (counts != np.bincount(self.label_codes[self.label_codes >= 0], minlength=len(self.labels))).any():
            # A build was killed between its last renames.
            raise IndexFolderError(self._sums.path, "is of other rows than the shards have", "build with --resume")
        return counts, sums

    def vectors(self, rows: Ids | Sequence[int]) -> Vectors:
        """Those of rows, (n,): (n, d), of unit length. Raises IndexError."""
        return self._shards.vectors(rows)

    def tables(self, keep: Mask | None = None) -> Iterator[pa.Table]:
        """All rows as they are stored, or those to keep, (N,), in order and in parts: for another index."""
        return self._shards.tables(keep)

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Vectors, Ids]:
        """The k nearest: cosines and rows, each (n, k), nearest first; row -1, cosine -1 where there are fewer.

        As sure as the manifest's measurements say; cosines are exact in any case.

        Args:
            queries: (n, d), unit rows.
            k: at least 1.
            allowed: only these rows, (N,).
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
        found = self._device.search(rows, some, allowed, count) if self._device else None
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
        there, place = np.unique(rows[rows >= 0], return_inverse=True)
        cosines = np.full(rows.shape, -1, np.float32)
        which = np.nonzero(rows >= 0)
        cosines[which] = np.einsum("ij,ij->i", queries[which[0]], self.vectors(there)[place])
        return ordered(cosines, rows)


def open_shards(folder: Path, manifest: Manifest) -> Shards:
    """The shards that a manifest names, if they are what it says. Raises IndexFolderError."""
    paths = manifest.shard_paths(folder)
    shards = Shards(paths, manifest.dimension)
    for path, shard, rows in zip(paths, manifest.shards, shards.rows, strict=True):
        if rows != shard.rows:
            raise IndexFolderError(path, f"has {rows} rows, the manifest {shard.rows}", "build the index anew")
    if shards.vector_types - {manifest.vector_type}:
        raise IndexFolderError(folder, f"its vectors are not {manifest.vector_type}", "build the index anew")
    return shards


def open_faiss(folder: Path, manifest: Manifest) -> Any:
    """The FAISS index, mapped, if it is what a manifest says. Raises IndexFolderError."""
    path = folder / manifest.index.file
    size = path.stat().st_size
    if size != manifest.index.bytes:
        raise IndexFolderError(path, f"has {size} bytes, the manifest {manifest.index.bytes}", "build the index anew")
    check_file(path, manifest.dimension, manifest.count)
    try:
        return faiss.read_index(str(path), _faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise IndexFolderError(path, f"FAISS cannot read it: {said(error)}", "build the index anew") from None


def _has_cosines(index: Any) -> bool:
    """Whether what it finds has its cosine, to 0.0002. Others have estimates, up to some tenths off."""
    index = faiss.downcast_index(index)
    if isinstance(index, _faiss.IndexRefine):
        return _has_cosines(index.refine_index)
    if isinstance(index, _faiss.IndexHNSW):
        return _has_cosines(index.storage)
    if isinstance(index, _faiss.IndexScalarQuantizer | _faiss.IndexIVFScalarQuantizer):
        return bool(index.sq.qtype == _faiss.ScalarQuantizer.QT_fp16)
    return isinstance(index, _faiss.IndexFlat | _faiss.IndexIVFFlat)


def _filled(cosines: Vectors, rows: Ids, k: int) -> tuple[Vectors, Ids]:
    """(n, at most k) → (n, k); FAISS leaves huge negative numbers where it found nothing."""
    wider = ((0, 0), (0, k - rows.shape[1]))
    # A file may hold vectors that are no numbers, or of any length.
    cosines = np.clip(np.nan_to_num(np.where(rows < 0, np.float32(-1), cosines), nan=-1), -1, 1)
    cosines = np.pad(cosines, wider, constant_values=-1)
    return cosines, np.pad(rows, wider, constant_values=-1)


def ordered(cosines: Vectors, rows: Ids) -> tuple[Vectors, Ids]:
    """Nearest first, (n, k) each; those that are not there, -1, last, though a cosine may be -1 as well."""
    order = np.argsort(-np.where(rows < 0, -np.inf, cosines), axis=1, kind="stable")
    return np.take_along_axis(cosines, order, 1), np.take_along_axis(rows, order, 1)
