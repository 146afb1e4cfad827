"""The rows of a window as a file, whole or not there; and so many of them, in order, as a shard.

    .building/fragments/00000012.arrow    the rows of one window
    vectors/part-00003.parquet            the rows of so many, of which none is there any more

The n-th shard of a build takes the fragments from n times so many on. So its name says which it holds, and one that is
left beside the shard made of it is known for what it is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from glimpse.index.storage.atomic_files import atomic
from glimpse.index.storage.shard import write_shard

_SHARD = re.compile(r"part-(\d{5,})(?:\.(\d+))?\.parquet")


def newest_shards(folder: Path) -> dict[int, Path]:
    """The shards in a folder by their numbers, ascending; of one number the newest."""
    found: dict[int, tuple[int, Path]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _SHARD.fullmatch(path.name):
            number, version = int(match[1]), int(match[2] or 0)
            if number not in found or found[number][0] < version:
                found[number] = (version, path)
    return {number: found[number][1] for number in sorted(found)}


def next_version(path: Path) -> Path:
    """The name of a shard that takes another's place."""
    match = _SHARD.fullmatch(path.name)
    assert match is not None  # noqa: S101 (of newest_shards)
    return path.with_name(f"part-{match[1]}.{int(match[2] or 0) + 1}.parquet")


class Fragments:
    """The fragments of a build, and the shards made of them. One thread writes."""

    def __init__(self, folder: Path, vectors: Path, first_shard: int, per_shard: int) -> None:
        """Makes the folders, and drops what is in a shard already. Raises OSError.

        Args:
            folder: of the fragments.
            vectors: of the shards.
            first_shard: the number of the build's first.
            per_shard: so many fragments make a shard.
        """
        for one in (folder, vectors):
            one.mkdir(parents=True, exist_ok=True)
        self._folder, self._vectors, self._first, self._per = folder, vectors, first_shard, per_shard
        #: What makes a shard, at a path, of fragments: a worker of a cluster, say.
        self.make_shard: Callable[[Path, Sequence[Path]], None] = make_shard
        self._shard = max(max(newest_shards(vectors), default=-1) + 1, first_shard)
        begin = (self._shard - first_shard) * per_shard
        for path in self.paths():
            if int(path.stem) < begin:
                path.unlink()
        self._next = max([begin, *(int(path.stem) + 1 for path in self.paths())])
        self._make_full()

    def paths(self) -> list[Path]:
        """Those that are in no shard yet, in order."""
        return sorted(self._folder.glob("[0-9]*.arrow"))

    def tables(self) -> Iterator[pa.Table]:
        """Their rows, a fragment at a time."""
        return map(read_fragment, self.paths())

    def write(self, table: pa.Table) -> None:
        """Keeps the rows of a window for good, and makes a shard where they fill one. Raises OSError."""
        write_fragment(self._path(), table)
        self._written()

    def adopt(self, path: Path) -> None:
        """As `write`, of a file of `write_fragment` on the same disk, which goes there. Raises OSError."""
        path.replace(self._path())
        self._written()

    def close(self) -> None:
        """Makes the last shard of what is left, of less than the others. Raises OSError."""
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
        """The first fragment that is not the next shard's."""
        return (self._shard - self._first + 1) * self._per

    def _make(self, paths: list[Path]) -> None:
        self.make_shard(self._vectors / f"part-{self._shard:05d}.parquet", paths)
        self._next = max(self._next, self._end())
        self._shard += 1
        for path in paths:
            path.unlink()


def make_shard(path: Path, fragments: Sequence[Path]) -> None:
    """Writes a shard of fragments, in order. Raises OSError."""
    write_shard(path, pa.concat_tables(map(read_fragment, fragments)))


def write_fragment(path: Path, table: pa.Table) -> None:
    """Writes rows of `glimpse.index.storage.shard.schema`, whole or not at all. Raises OSError."""
    with atomic(path) as beside, pa.OSFile(str(beside), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def read_fragment(path: Path) -> pa.Table:
    """Its rows, mapped into memory. Raises OSError."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
