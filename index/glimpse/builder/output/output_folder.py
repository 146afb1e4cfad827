"""The folder that a build writes: alone, begun anew or gone on with, and what is in it so far.

.building/build.json       what the build is of; as long as it is there, the build has not ended
.building/fragments/       rows of windows that are in no shard yet
.building/windows/*/       rows that an engine's workers have made, of one run
.building/*.sqlite         scratch of one run
.building/errors.parquet   of one run; takes its place in the folder at the end
"""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.builder.errors import BuildError
from glimpse.builder.output.existing_rows import COLUMNS, make_known
from glimpse.builder.output.fragments import Fragments, newest_shards, next_version
from glimpse.index.building.finalize import tidy
from glimpse.index.storage.atomic_files import atomic, digest
from glimpse.index.storage.id_table import last_of_each
from glimpse.index.storage.manifest import (
    INDEX_NAME,
    LABELS_NAME,
    MANIFEST_NAME,
    VECTORS_FOLDER,
    Header,
    Manifest,
    VectorType,
    read_manifest,
)
from glimpse.index.storage.shard import write_shard
from glimpse.index.storage.shard_set import Shards

WORK = ".building"
_STATE = "build.json"


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
        for folder in (out, self.work, self._vectors, self.work / "fragments"):
            for left in folder.glob(".*.tmp"):  # of a process that was killed
                left.unlink()
        state = self._state(per_shard)
        if (state.embedding_space, state.vector_type) != (header.embedding_space, header.vector_type):
            theirs, ours = f"{state.backbone} in {state.vector_type}", f"{header.backbone} in {header.vector_type}"
            raise BuildError(f"{out} has vectors of {theirs}, and these would be of {ours}", _step(state, header))
        #: The shards that the index had before the build, in order.
        self.base_paths = [self._vectors / name for name in state.base]
        self.fragments = Fragments(self.work / "fragments", self._vectors, state.first_shard, state.per_shard)
        windows = self.work / "windows"
        for left in sorted(windows.glob("*/[!.]*.arrow")):
            self.fragments.adopt(left)
        shutil.rmtree(windows, ignore_errors=True)
        #: Where an engine's workers leave the rows of windows that wait for those before. Each run has its own, in
        #: which no worker of a run that was killed writes: their names ascend with time.
        self.windows = windows / f"{time.time_ns():020d}"
        make_known(self.known_path, _tables(self.base_paths), self._made())

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
        """All shards, those with rows whose id has a later one written anew without them. Raises OSError."""
        rows, paths, at = Shards(self.shards(), self.header.dimension), list[Path](), 0
        last = last_of_each(rows.pieces("id"))
        for path, count in zip(rows.paths, rows.rows, strict=True):
            keep = last[at : at + count]
            at += count
            if keep.all():
                paths.append(path)
            elif keep.any():
                paths.append(next_version(path))
                write_shard(paths[-1], _whole(path).filter(pa.array(keep)))
        return paths

    def unchanged(self, shards: Sequence[Path]) -> Manifest | None:
        """The manifest there is, if it is of just these shards and of what was made of them; else None.

        A build that was killed between its last renames leaves other files than the manifest names. Raises
        IndexFolderError and OSError.
        """
        if not (self.out / MANIFEST_NAME).is_file():
            return None
        manifest = read_manifest(self.out)
        made = {INDEX_NAME: manifest.index.sha256, LABELS_NAME: manifest.labels_sha256}
        same = manifest.shard_paths(self.out) == list(shards)
        same = same and all(digest(self.out / name) == sha256 for name, sha256 in made.items() if sha256)
        return manifest if same else None

    def end(self, manifest: Manifest) -> None:
        """There is a manifest of all shards: the build is over. Raises OSError."""
        tidy(self.out, manifest)
        (self.work / _STATE).unlink(missing_ok=True)
        shutil.rmtree(self.work)


def vector_type_of(out: Path) -> VectorType | None:
    """Of the build that has not ended, or else of the index; None where there is neither. Raises IndexFolderError."""
    if (state := out / WORK / _STATE).is_file():
        found: VectorType = json.loads(state.read_text("utf-8"))["vector_type"]
        return found
    return read_manifest(out).vector_type if (out / MANIFEST_NAME).is_file() else None


def _step(state: _State, header: Header) -> str:
    same_space = state.embedding_space == header.embedding_space
    return f"say --vectors {state.vector_type}, or name another --out" if same_space else "name another --out"


def _tables(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Of each shard what is known of its rows, without the vectors."""
    for path in paths:
        shard = Shards([path])
        yield pa.table({name: shard.column(name) for name in COLUMNS})


def _whole(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read()
