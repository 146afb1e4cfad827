"""The folder that a build writes: alone, begun anew or gone on with, and what is in it so far.

.building/build.json       what the build is of; as long as it is there, the build has not ended
.building/fragments/       rows of windows that are in no shard yet
.building/*.sqlite         scratch of one run
.building/errors.parquet   of one run; takes its place in the folder at the end
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.builder.errors import BuildError
from glimpse.builder.fragments import Fragments, newest_shards, next_version
from glimpse.builder.known import COLUMNS, make_known, superseded
from glimpse.index.files import atomic
from glimpse.index.manifest import MANIFEST_NAME, VECTORS_FOLDER, Header, Manifest, read_manifest
from glimpse.index.shard import write_shard
from glimpse.index.shards import Shards

WORK = ".building"
_STATE = "build.json"


@contextmanager
def locked(out: Path, resume: bool) -> Iterator[None]:
    """Alone in the folder, which is made where there is none. Raises BuildError where it is not ours to write."""
    if out.exists() and not out.is_dir():
        raise BuildError(f"{out} is a file", "name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildError(
                f"another build is writing to {out}", "wait until it ends, or name another --out"
            ) from error
        _check(out, resume)
        yield
    finally:
        os.close(handle)


def _check(out: Path, resume: bool) -> None:
    unfinished, built = (out / WORK).is_dir(), (out / MANIFEST_NAME).is_file()
    if not unfinished and not built and any(out.iterdir()):
        raise BuildError(f"{out} is neither empty nor an index", "name another folder with --out")
    if unfinished and not resume:
        raise BuildError(f"{out} has a build that has not ended", "go on with --resume, or name another --out")
    if built and not resume:
        raise BuildError(f"{out} is an index already", "add what is new with --resume, or name another --out")


@dataclass(frozen=True, slots=True)
class _State:
    """What a build is of, for good.

    Attributes:
        per_shard: fragments in a shard.
        first_shard: the number of the first that the build makes.
        base: the shards that the index had before.
    """

    backbone: str
    embedding_space: str
    vector_type: str
    per_shard: int
    first_shard: int
    base: tuple[str, ...]


class Folder:
    """An index that is being built. Opened with the lock held; one thread at a time writes."""

    def __init__(self, out: Path, header: Header, per_shard: int) -> None:
        """Begins a build, or goes on with the one that is there, which keeps its `per_shard`.

        Raises BuildError, IndexFolderError and OSError.
        """
        self.out, self.header, self.work, self._vectors = out, header, out / WORK, out / VECTORS_FOLDER
        for folder in (out, self.work, self._vectors, self.work / "fragments", self.work / "windows"):
            for left in folder.glob(".*.tmp"):  # of a process that was killed
                left.unlink()
        state = self._state(per_shard)
        if (state.embedding_space, state.vector_type) != (header.embedding_space, header.vector_type):
            theirs, ours = f"{state.backbone} in {state.vector_type}", f"{header.backbone} in {header.vector_type}"
            raise BuildError(f"{out} has vectors of {theirs}, and these would be of {ours}", "name another --out")
        #: The shards that the index had before the build, in order.
        self.base_paths = [self._vectors / name for name in state.base]
        self.fragments = Fragments(self.work / "fragments", self._vectors, state.first_shard, state.per_shard)
        #: Where engines leave the rows of windows that wait for those before.
        self.windows = self.work / "windows"
        for left in sorted(self.windows.glob("*.arrow")):
            self.fragments.adopt(left)
        #: Rows that the build had written when it was opened, and those whose id has a later row.
        self.kept = len(Shards([*self._later()], header.dimension)) + sum(map(len, self.fragments.tables()))
        self.superseded = make_known(self.known_path, _tables(self.base_paths), self._made())

    def _state(self, per_shard: int) -> _State:
        path, header = self.work / _STATE, self.header
        if path.is_file():
            values = json.loads(path.read_text("utf-8"))
            state = _State(**{**values, "base": tuple(values["base"])})
            # The base goes once there is a manifest without it: then the build had ended but for its work folder.
            if all((self._vectors / name).is_file() for name in state.base):
                return state
        state = _State(header.backbone, header.embedding_space, header.vector_type, per_shard, 0, ())
        if (self.out / MANIFEST_NAME).is_file():
            manifest = read_manifest(self.out)
            names = [Path(shard.file).name for shard in manifest.shards]
            for path_there in newest_shards(self._vectors).values():
                if path_there.name not in names:  # what the last build had no time to remove
                    path_there.unlink()
            first = max(newest_shards(self._vectors), default=-1) + 1
            of = (manifest.backbone, manifest.embedding_space, manifest.vector_type)
            state = _State(*of, per_shard, first, tuple(names))
        self.work.mkdir(exist_ok=True)
        with atomic(path) as beside:
            beside.write_text(json.dumps(asdict(state)), "utf-8")
        return state

    @property
    def known_path(self) -> Path:
        """The scratch file of `Known`."""
        return self.work / "known.sqlite"

    def base(self) -> Shards:
        """The rows that the index had before the build, as `Known.row` numbers them."""
        return Shards(self.base_paths, self.header.dimension)

    def shards(self) -> list[Path]:
        """All of them, in order."""
        return list(newest_shards(self._vectors).values())

    def _later(self) -> list[Path]:
        known = {path.name.split(".")[0] for path in self.base_paths}
        return [path for path in self.shards() if path.name.split(".")[0] not in known]

    def _made(self) -> Iterator[pa.Table]:
        yield from _tables(self._later())
        yield from self.fragments.tables()

    def without_superseded(self) -> list[Path]:
        """The shards, those with superseded rows written anew without them. Raises OSError."""
        paths = self.shards()
        stale = superseded(self.work / "superseded.sqlite", _tables(paths))
        for place, rows in stale.items():
            table = _whole(paths[place])
            fresh = next_version(paths[place])
            left = sorted(set(range(len(table))) - set(rows))
            if left:
                write_shard(fresh, table.take(left))
            paths[place] = fresh
        return [path for path in paths if path.exists()]

    def unchanged(self, shards: Sequence[Path]) -> Manifest | None:
        """The manifest there is, if it is of just these shards; else None. Raises IndexFolderError."""
        if not (self.out / MANIFEST_NAME).is_file():
            return None
        manifest = read_manifest(self.out)
        return manifest if manifest.shard_paths(self.out) == list(shards) else None

    def end(self) -> None:
        """There is a manifest of all shards: the build is over. Raises OSError."""
        (self.work / _STATE).unlink(missing_ok=True)
        shutil.rmtree(self.work)


def _tables(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Of each shard what is known of its rows, without the vectors."""
    for path in paths:
        shard = Shards([path])
        yield pa.table({name: shard.column(name) for name in COLUMNS})


def _whole(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read()
