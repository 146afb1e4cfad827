"""Merges index folders of one embedding space, and compacts a folder without gaps."""

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
    """Builds a new index from the rows of several. If an id occurs twice, its last row counts. Needs 24 bytes per id.

    Args:
        folders: at least one; in order.
        out: a folder that does not exist or is empty.
        factory: FAISS's factory string; None to choose one.
        min_recall: recall@10 for which search parameters are raised.
        threads: threads for training, adding and comparing.
        rebuild: the command line, for the manifest.
        progress: reports progress.

    Raises:
        IndexFolderError: the folders are not of one embedding space, or one is not valid.
        OSError: a file cannot be written.
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
    """Builds a new index from the rows of one, in full shards.

    Args:
        folder: the folder of the index.
        out: a folder that does not exist or is empty.
        factory: FAISS's factory string; None for the one the user gave to the index, or to choose one.
        min_recall: recall@10 for which search parameters are raised.
        threads: threads for training, adding and comparing.
        rebuild: the command line, for the manifest.
        progress: reports progress.

    Raises:
        IndexFolderError: the folder is not valid.
        OSError: a file cannot be written.
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
                f"has the embedding space {manifest.embedding_space} of {manifest.dimension} coordinates; "
                f"{folders[0]} has {first.embedding_space} of {first.dimension}",
                "merge only indexes of the same backbone",
            )
    return Header(
        backbone=first.backbone,
        embedding_space=first.embedding_space,
        dimension=first.dimension,
        # Keep full precision if one of the folders has it.
        vector_type="float32" if any(manifest.vector_type == "float32" for manifest in manifests) else "float16",
        rebuild=rebuild,
    )


def _tables(shards: Sequence[Shards], progress: Watch) -> Iterator[pa.Table]:
    keep, at = last_of_each(part for folder in shards for part in folder.pieces("id")), 0
    with progress("rows", len(keep)) as advance:
        for folder in shards:
            for table in folder.tables(keep[at : at + len(folder)]):
                yield table
                advance(len(table))
            at += len(folder)


def _errors(folders: Sequence[Path], manifests: Sequence[Manifest]) -> pa.Table | None:
    named = [folder for folder, manifest in zip(folders, manifests, strict=True) if manifest.errors_sha256]
    return pa.concat_tables([pq.read_table(folder / ERRORS_NAME) for folder in named]) if named else None
