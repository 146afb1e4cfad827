"""Writes a new index folder from tables of rows."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.files.scratch import scratch_beside
from glimpse.index.building.finalize import finish
from glimpse.index.errors import IndexFolderError
from glimpse.index.progress import Watch, silent
from glimpse.index.storage.atomic_files import synced
from glimpse.index.storage.manifest import VECTORS_FOLDER, Header, Manifest
from glimpse.index.storage.shard import SHARD_SIZE, schema, write_shard

_ERRORS_INPUT = ".errors.given.parquet"


def write_index(
    out: Path,
    tables: Iterable[pa.Table],
    header: Header,
    *,
    errors: pa.Table | None = None,
    factory: str | None = None,
    min_recall: float = 0.95,
    threads: int = 1,
    shard_size: int = SHARD_SIZE,
    progress: Watch = silent,
) -> Manifest:
    """Writes an index folder completely or not at all. Memory holds a shard and FAISS's index.

    Args:
        out: a folder that does not exist or is empty.
        tables: rows of `shard.schema`; each id occurs once.
        header: describes the vectors.
        errors: inputs that could not become a row, as in errors.parquet.
        factory: FAISS's factory string; None to choose one.
        min_recall: recall@10 for which search parameters are raised.
        threads: threads for training, adding and comparing.
        shard_size: rows of a shard.
        progress: reports progress.

    Raises:
        IndexFolderError: `out` is in use, or FAISS cannot build the type.
        OSError: a file cannot be written.
    """
    with _beside(out) as folder:
        (folder / VECTORS_FOLDER).mkdir()
        paths = []
        for number, table in enumerate(_full(tables, header, shard_size)):
            paths.append(folder / VECTORS_FOLDER / f"part-{number:05d}.parquet")
            write_shard(paths[-1], table)
        manifest = finish(
            folder,
            header,
            paths,
            errors=_written(folder / _ERRORS_INPUT, errors),
            error_count=0 if errors is None else len(errors),
            factory=factory,
            min_recall=min_recall,
            threads=threads,
            progress=progress,
        )
        (folder / _ERRORS_INPUT).unlink(missing_ok=True)
        return manifest


def check_new(out: Path) -> None:
    """Checks that a folder does not exist or is empty. Raises IndexFolderError."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise IndexFolderError(out, "exists already and is not empty", "give a new or an empty folder")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Yields a temporary folder, and renames it to `out` at the end."""
    check_new(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_beside(out) as scratch:
        folder = scratch / "index"
        folder.mkdir()
        try:
            yield folder
        except IndexFolderError as error:
            if error.path.is_relative_to(folder):
                raise IndexFolderError(out / error.path.relative_to(folder), error.message, error.next_step) from None
            raise
        synced(folder)
        with suppress(FileNotFoundError):
            out.rmdir()
        folder.rename(out)
    synced(out.parent)


def _written(path: Path, errors: pa.Table | None) -> Path | None:
    if errors is None:
        return None
    pq.write_table(errors, path, compression="zstd", write_statistics=False)
    return path


def _full(tables: Iterable[pa.Table], header: Header, size: int) -> Iterator[pa.Table]:
    """Regroups rows into tables of `size`; the last may be smaller."""
    form = schema(header.dimension, header.vector_type)
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table.cast(form))
        while sum(map(len, waiting)) >= size:
            together = pa.concat_tables(waiting)
            yield together.slice(0, size)
            waiting = [together.slice(size)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting)
