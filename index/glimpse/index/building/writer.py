"""A new index folder of rows that come one table after the other."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.index.building.finalize import finish
from glimpse.index.errors import IndexFolderError
from glimpse.index.progress import Watch, silent
from glimpse.index.storage.atomic_files import synced
from glimpse.index.storage.manifest import VECTORS_FOLDER, Header, Manifest
from glimpse.index.storage.scratch import scratch_beside
from glimpse.index.storage.shard import SHARD_SIZE, schema, write_shard

_ERRORS = ".errors.given.parquet"


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
    """Makes an index of rows of `shard.schema`, which is whole or not there. Memory is that of a shard and of FAISS.

    Raises IndexFolderError and OSError.

    Args:
        out: a folder that is not there, or empty.
        tables: rows, each id once.
        header: what has to be told of the vectors.
        errors: what could not become a row, as in errors.parquet.
        factory: of FAISS; None: what suits.
        min_recall: recall@10 that search parameters are raised for.
        threads: for training, adding and comparing.
        shard_size: rows of a shard.
        progress: is told of.
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
            errors=_written(folder / _ERRORS, errors),
            error_count=0 if errors is None else len(errors),
            factory=factory,
            min_recall=min_recall,
            threads=threads,
            progress=progress,
        )
        (folder / _ERRORS).unlink(missing_ok=True)
        return manifest


def check_new(out: Path) -> None:
    """Raises IndexFolderError where a folder is taken."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise IndexFolderError(out, "is there already", "name a folder that is not there, or an empty one")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder to fill, that takes the name at the end."""
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
    """The same rows in tables of `size`, but the last."""
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
