"""Turns shards into an index: writes label sums, FAISS file and manifest to temporary files and renames them, the
manifest last.
"""

import importlib.metadata
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import faiss

from glimpse.files.digest import digest
from glimpse.index.building.index_selection import choices
from glimpse.index.building.recall import copy_parameters, tune
from glimpse.index.building.rescored import RescoredIndex, rescored_types
from glimpse.index.building.train import Make, make_index
from glimpse.index.errors import IndexFolderError, faiss_message
from glimpse.index.faiss_validation.faiss_io import write_faiss
from glimpse.index.memory_limit import memory_bytes
from glimpse.index.progress import Watch, silent
from glimpse.index.search.cuda import gpu_count
from glimpse.index.storage.atomic_files import atomic, synced
from glimpse.index.storage.label_sums import write_sums
from glimpse.index.storage.manifest import (
    ERRORS_NAME,
    GIVEN,
    INDEX_NAME,
    LABELS_NAME,
    VECTORS_FOLDER,
    FaissIndex,
    Header,
    Manifest,
    Measured,
    Search,
    Shard,
    write_manifest,
)
from glimpse.index.storage.shard_set import Codes, Shards

_NAMES = (INDEX_NAME, LABELS_NAME, ERRORS_NAME)


def finish(
    folder: Path,
    header: Header,
    shards: Sequence[Path],
    *,
    errors: Path | None = None,
    error_count: int = 0,
    factory: str | None = None,
    min_recall: float = 0.95,
    threads: int = 1,
    make: Make = make_index,
    progress: Watch = silent,
) -> Manifest:
    """Turns a folder of shards into an index in one step; until then it stays the index it was.

    Args:
        folder: the folder of the index.
        header: describes the vectors.
        shards: files in `folder`/vectors, in the order of their rows. All other files there are removed at the end.
        errors: a file of failed inputs, which becomes errors.parquet.
        error_count: rows of `errors`.
        factory: FAISS's factory string; None to choose one.
        min_recall: recall@10 for which search parameters are raised.
        threads: threads for training, adding and comparing.
        make: trains and fills an index.
        progress: reports progress.

    Returns:
        The manifest written.

    Raises:
        IndexFolderError: the shards are not valid, or FAISS cannot build the type.
        OSError: a file cannot be written.
    """
    rows = Shards(shards, header.dimension)
    labels, codes = rows.codes("label")
    with ExitStack() as whole:
        temporary = {
            name: whole.enter_context(atomic(folder / name)) for name in _NAMES if _needed(name, labels, errors)
        }
        if labels:
            write_sums(temporary[LABELS_NAME], rows, labels, codes)
        if errors:
            shutil.copyfile(errors, temporary[ERRORS_NAME])
        index = _index(rows, codes, temporary[INDEX_NAME], factory, min_recall, threads, make, progress)
        manifest = Manifest(
            **header.model_dump(),
            count=len(rows),
            label_count=len(labels),
            domain_count=len(rows.codes("domain")[0]),
            error_count=error_count,
            shards=_digested(shards, rows.rows, progress),
            labels_sha256=digest(temporary[LABELS_NAME]) if labels else None,
            errors_sha256=digest(temporary[ERRORS_NAME]) if errors else None,
            index=index,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            glimpse=importlib.metadata.version("glimpse-fewshot"),
            faiss=faiss.__version__,
        )
        # Sync after all long work, so that the renames follow one another immediately.
        for path in temporary.values():
            synced(path)
    write_manifest(folder, manifest)
    tidy(folder, manifest)
    return manifest


def _needed(name: str, labels: Sequence[str], errors: Path | None) -> bool:
    return name == INDEX_NAME or bool(labels if name == LABELS_NAME else errors)


def _index(
    rows: Shards,
    codes: Codes,
    path: Path,
    factory: str | None,
    min_recall: float,
    threads: int,
    make: Make,
    progress: Watch,
) -> FaissIndex:
    """Trains, fills, tunes and writes an index: the first type with enough recall, or the one with the most."""
    kept: FaissIndex | None = None
    for candidate, chosen in [(factory, GIVEN)] if factory else _chosen(rows):
        with _replacing(path) as file:
            try:
                search, measured = _written(rows, codes, file, candidate, min_recall, threads, make, progress)
            except RuntimeError as error:
                file, message = path.parent / INDEX_NAME, f"FAISS cannot make {candidate}: {faiss_message(error)}"
                raise IndexFolderError(file, message, "name another --type") from None
            if kept is None or kept.measured is None or measured is None or _better(measured, kept.measured):
                file.replace(path)
                kept = FaissIndex(
                    sha256=digest(path),
                    bytes=path.stat().st_size,
                    factory=candidate,
                    chosen=chosen,
                    search=search,
                    measured=measured,
                )
        if measured is None or measured.reached:
            break
    assert kept is not None  # noqa: S101 (there is at least one candidate)
    return kept


def _written(
    rows: Shards,
    codes: Codes,
    path: Path,
    factory: str,
    min_recall: float,
    threads: int,
    make: Make,
    progress: Watch,
) -> tuple[Search, Measured | None]:
    """Trains, fills, tunes and writes an index of one type."""
    types = rescored_types(factory)
    if types is None or not len(rows):
        index = make(rows, factory, threads, progress)
        results = tune(index, rows, codes, min_recall, threads, progress)
        write_faiss(index, path)
        return results
    made = RescoredIndex.make(rows, types, path, threads, make, progress)
    mapped = made.mapped()
    results = tune(mapped, rows, codes, min_recall, threads, progress, size=path.stat().st_size)
    copy_parameters(mapped, made.index)
    del mapped
    made.rewrite()
    return results


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yields the path of a file beside another one, and removes it at the end if it is still there."""
    file = path.with_name(f"{path.name.removesuffix('.tmp')}.next.tmp")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _better(measured: Measured, best: Measured) -> bool:
    return measured.recall_at_10 > best.recall_at_10


def _chosen(rows: Shards) -> list[tuple[str, str]]:
    candidates = choices(len(rows), rows.dimension, memory_bytes(), gpu_count())
    return [(factory, f"auto: {reason}") for factory, reason in candidates]


def _digested(paths: Sequence[Path], rows: Sequence[int], progress: Watch) -> tuple[Shard, ...]:
    shards = []
    with progress("digests", len(paths)) as advance:
        for path, count in zip(paths, rows, strict=True):
            shards.append(Shard(file=f"{VECTORS_FOLDER}/{path.name}", rows=count, sha256=digest(path)))
            advance(1)
    return tuple(shards)


def tidy(folder: Path, manifest: Manifest) -> None:
    """Removes files that the manifest does not name; processes that have them open keep them. Raises OSError."""
    named = {Path(shard.file).name for shard in manifest.shards}
    for path in (folder / VECTORS_FOLDER).iterdir():
        if path.name not in named and path.is_file():
            path.unlink()
    if manifest.labels_sha256 is None:
        (folder / LABELS_NAME).unlink(missing_ok=True)
    if manifest.errors_sha256 is None:
        (folder / ERRORS_NAME).unlink(missing_ok=True)
