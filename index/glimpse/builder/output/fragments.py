"""Fragments: files with the rows of one window, of which a fixed number become a shard.

    .building/fragments/00000012.arrow    the rows of one window
    vectors/part-00003.parquet            the rows of `per_shard` fragments, which are then removed

Shard n of a build has the fragments from n * `per_shard` on. So a fragment's number says whether it is in a shard
already, even if it was not removed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from glimpse.index.storage.atomic_files import atomic
from glimpse.index.storage.shard import write_shard

_SHARD = re.compile(r"part-(\d{5,})(?:\.(\d+))?\.parquet")


def newest_shards(folder: Path) -> dict[int, Path]:
    """Returns the shards in a folder by number, ascending; the newest version of each."""
    newest: dict[int, tuple[int, Path]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _SHARD.fullmatch(path.name):
            number, version = int(match[1]), int(match[2] or 0)
            if number not in newest or newest[number][0] < version:
                newest[number] = (version, path)
    return {number: newest[number][1] for number in sorted(newest)}


def next_version(path: Path) -> Path:
    """Returns the name of the shard that replaces another."""
    match = _SHARD.fullmatch(path.name)
    assert match is not None  # noqa: S101 (names come from newest_shards)
    return path.with_name(f"part-{match[1]}.{int(match[2] or 0) + 1}.parquet")


class Fragments:
    """The fragments of a build, and the shards made from them. Only one thread may write."""

    def __init__(self, folder: Path, vectors: Path, first_shard: int, per_shard: int) -> None:
        """Creates the folders, and removes fragments that are in a shard already. Raises OSError.

        Args:
            folder: folder of fragments.
            vectors: folder of shards.
            first_shard: number of the build's first shard.
            per_shard: fragments per shard.
        """
        for path in (folder, vectors):
            path.mkdir(parents=True, exist_ok=True)
        self._folder, self._vectors, self._first, self._per = folder, vectors, first_shard, per_shard
        #: Writes a shard from fragments; an engine may replace it.
        self.make_shard: Callable[[Path, Sequence[Path]], None] = make_shard
        self._shard = max(max(newest_shards(vectors), default=-1) + 1, first_shard)
        begin = (self._shard - first_shard) * per_shard
        for path in self.paths():
            if int(path.stem) < begin:
                path.unlink()
        self._next = max([begin, *(int(path.stem) + 1 for path in self.paths())])
        self._make_full()

    def paths(self) -> list[Path]:
        """Returns the fragments that are in no shard yet, in order."""
        return sorted(self._folder.glob("[0-9]*.arrow"))

    def tables(self) -> Iterator[pa.Table]:
        """Yields the rows of these fragments, one fragment at a time."""
        return map(read_fragment, self.paths())

    def write(self, table: pa.Table) -> None:
        """Stores the rows of a window, and writes a shard if it is full. Raises OSError."""
        write_fragment(self._path(), table)
        self._written()

    def adopt(self, path: Path) -> None:
        """Stores a file of `write_fragment` on the same disk by moving it; see `write`. Raises OSError."""
        path.replace(self._path())
        self._written()

    def close(self) -> None:
        """Writes the last shard from the remaining fragments. Raises OSError."""
        if left := self.paths():
            self._make(left)

    def _path(self) -> Path:
        return self._folder / f"{self._next:08d}.arrow"

    def _written(self) -> None:
        self._next += 1
        self._make_full()

    def _make_full(self) -> None:
        while self._next >= self._end():
            self._make([path for path in self.paths() if int(path.stem) < self._end()])

    def _end(self) -> int:
        """Returns the number of the first fragment after the next shard."""
        return (self._shard - self._first + 1) * self._per

    def _make(self, paths: list[Path]) -> None:
        self.make_shard(self._vectors / f"part-{self._shard:05d}.parquet", paths)
        self._next = max(self._next, self._end())
        self._shard += 1
        for path in paths:
            path.unlink()


def make_shard(path: Path, fragments: Sequence[Path]) -> None:
    """Writes a shard from fragments, in order. Raises OSError."""
    write_shard(path, pa.concat_tables(map(read_fragment, fragments)))


def write_fragment(path: Path, table: pa.Table) -> None:
    """Writes rows of `glimpse.index.storage.shard.schema` completely or not at all. Raises OSError."""
    with (
        atomic(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)


def read_fragment(path: Path) -> pa.Table:
    """Returns a fragment's rows, mapped into memory. Raises OSError."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
