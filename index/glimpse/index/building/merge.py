"""Several index folders of one space become a new one, and one becomes one without gaps."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.index.building.writer import check_new, write_index
from glimpse.index.errors import IndexFolderError
from glimpse.index.progress import Watch, silent
from glimpse.index.search.bulk_index import open_shards
from glimpse.index.storage.id_table import last_of_each
from glimpse.index.storage.manifest import ERRORS_NAME, GIVEN, Header, Manifest, read_manifest
from glimpse.index.storage.shard_set import Shards


def merge(
    folders: Sequence[Path],
    out: Path,
    *,
    factory: str | None = None,
    min_recall: float = 0.95,
    threads: int = 1,
    rebuild: str = "",
    progress: Watch = silent,
) -> Manifest:
    """Makes a new index of the rows of all; of an id that is there twice the last counts. 24 bytes an id are held.

    Raises IndexFolderError where they are not of one embedding space, and OSError.

    Args:
        folders: at least one; in order.
        out: a folder that is not there, or empty.
        factory: of FAISS; None: what suits.
        min_recall: recall@10 that search parameters are raised for.
        threads: for training, adding and comparing.
        rebuild: the command that does this.
        progress: is told of.
    """
    check_new(out)
    manifests = [read_manifest(folder) for folder in folders]
    header = _common(folders, manifests, rebuild)
    shards = [open_shards(folder, manifest) for folder, manifest in zip(folders, manifests, strict=True)]
    return write_index(
        out,
        _tables(shards, progress),
        header,
        errors=_errors(folders, manifests),
        factory=factory,
        min_recall=min_recall,
        threads=threads,
        progress=progress,
    )


def compact(
    folder: Path,
    out: Path,
    *,
    factory: str | None = None,
    min_recall: float = 0.95,
    threads: int = 1,
    rebuild: str = "",
    progress: Watch = silent,
) -> Manifest:
    """Makes a new index of the rows of one, in full shards. Raises IndexFolderError and OSError.

    Args:
        folder: of the index.
        out: a folder that is not there, or empty.
        factory: of FAISS; None: that which was given to the index, or what suits now.
        min_recall: recall@10 that search parameters are raised for.
        threads: for training, adding and comparing.
        rebuild: the command that does this.
        progress: is told of.
    """
    index = read_manifest(folder).index
    if factory is None and index.chosen == GIVEN:
        factory = index.factory
    return merge(
        [folder], out, factory=factory, min_recall=min_recall, threads=threads, rebuild=rebuild, progress=progress
    )


def _common(folders: Sequence[Path], manifests: Sequence[Manifest], rebuild: str) -> Header:
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        if (manifest.embedding_space, manifest.dimension) != (first.embedding_space, first.dimension):
            raise IndexFolderError(
                folder,
                f"is of the embedding space {manifest.embedding_space}, {manifest.dimension} coordinates; "
                f"{folders[0]} of {first.embedding_space}, {first.dimension}",
                "merge indexes that one backbone made",
            )
    return Header(
        backbone=first.backbone,
        embedding_space=first.embedding_space,
        dimension=first.dimension,
        # Nothing is rounded that was not.
        vector_type="float32" if any(one.vector_type == "float32" for one in manifests) else "float16",
        rebuild=rebuild,
    )


def _tables(shards: Sequence[Shards], progress: Watch) -> Iterator[pa.Table]:
    keep, at = last_of_each(part for some in shards for part in some.pieces("id")), 0
    with progress("rows", len(keep)) as advance:
        for some in shards:
            for table in some.tables(keep[at : at + len(some)]):
                yield table
                advance(len(table))
            at += len(some)


def _errors(folders: Sequence[Path], manifests: Sequence[Manifest]) -> pa.Table | None:
    named = [folder for folder, one in zip(folders, manifests, strict=True) if one.errors_sha256]
    return pa.concat_tables([pq.read_table(folder / ERRORS_NAME) for folder in named]) if named else None
