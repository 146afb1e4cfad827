"""Verifies that an index folder contains what its manifest says."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.files.digest import digest
from glimpse.index.errors import IndexFolderError
from glimpse.index.progress import Watch, silent
from glimpse.index.search.bulk_index import BulkIndex, open_shards
from glimpse.index.storage.id_table import last_of_each
from glimpse.index.storage.label_sums import summed
from glimpse.index.storage.manifest import ERRORS_NAME, LABELS_NAME, Manifest, read_manifest
from glimpse.index.storage.shard_set import Shards

# Rounding to float16 changes a unit length by less than a tenth of this.
_LENGTH_TOLERANCE = 0.005
# Error of a float32 sum, for each row in it.
_SUM_TOLERANCE = 1e-4
# Number of rows that are searched for, results per row, the cosine that counts as the same row, and the share of rows
# that must be found. A coarse type without refinement does not find all.
_QUERIES, _NEAREST, _SAME, _FOUND = 256, 10, 0.999, 0.25


def verify(folder: Path, progress: Watch = silent) -> list[str]:
    """Reads the whole folder and returns its problems, none if it is valid. Raises OSError."""
    try:
        manifest = read_manifest(folder)
    except IndexFolderError as error:
        return [str(error)]
    problems: list[str] = []
    for check in (_contents, _errors, _rows, _opened):
        try:
            problems += check(folder, manifest, progress)
        except IndexFolderError as error:
            problems.append(str(error))
    # Two checks may report the same problem.
    return list(dict.fromkeys(problems))


def _contents(folder: Path, manifest: Manifest, progress: Watch) -> Iterator[str]:
    files = {shard.file: shard.sha256 for shard in manifest.shards} | {manifest.index.file: manifest.index.sha256}
    optional = {LABELS_NAME: manifest.labels_sha256, ERRORS_NAME: manifest.errors_sha256}
    files |= {name: sha256 for name, sha256 in optional.items() if sha256}
    with progress("files", len(files)) as advance:
        for name, sha256 in files.items():
            if digest(folder / name) != sha256:
                yield f"{folder / name}: its sha256 differs from the manifest's"
            advance(1)


def _errors(folder: Path, manifest: Manifest, progress: Watch) -> Iterator[str]:
    if manifest.errors_sha256 is None:
        return
    path = folder / ERRORS_NAME
    try:
        rows = pq.read_metadata(path).num_rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IndexFolderError(path, f"cannot be read: {error}") from None
    if rows != manifest.error_count:
        yield f"{path}: has {rows} rows, the manifest {manifest.error_count}"


def _rows(folder: Path, manifest: Manifest, progress: Watch) -> Iterator[str]:
    shards = open_shards(folder, manifest)
    off = 0
    with progress("vectors", len(shards)) as advance:
        for lengths in shards.lengths():
            # Count the others, so that NaN counts too.
            off += len(lengths) - int((np.abs(lengths - 1) < _LENGTH_TOLERANCE).sum())
            advance(len(lengths))
    if off:
        yield f"{folder}: {off} vectors do not have unit length"
    duplicates = len(shards) - int(last_of_each(shards.pieces("id")).sum())
    if duplicates:
        yield f"{folder}: {duplicates} rows have a duplicate id"


def _opened(folder: Path, manifest: Manifest, progress: Watch) -> Iterator[str]:
    index = BulkIndex.open(folder)
    yield from _sums(folder, index, open_shards(folder, manifest))
    if not len(index):
        return
    rows = np.unique(np.linspace(0, len(index) - 1, _QUERIES).astype(np.int64))
    queries = index.vectors(rows)
    _, found = index.search(queries, _NEAREST)
    # Compute the cosines from the shards, because FAISS's file may be of other vectors. Any copy of a vector counts.
    cosines = np.stack([index.vectors(near) @ query for near, query in zip(np.maximum(found, 0), queries, strict=True)])
    if ((found >= 0) & (cosines > _SAME)).any(1).mean() < _FOUND:
        yield f"{folder / manifest.index.file}: does not find the rows of the shards"


def _sums(folder: Path, index: BulkIndex, shards: Shards) -> Iterator[str]:
    _, sums = index.label_sums()
    for first, own_counts, own_sums in summed(shards, len(index.labels), index.label_codes):
        part = slice(first, first + len(own_counts))
        if not (np.abs(sums[part] - own_sums).max(1) <= _SUM_TOLERANCE * own_counts).all():
            yield f"{folder / LABELS_NAME}: the sums differ from those of the vectors"
            return
