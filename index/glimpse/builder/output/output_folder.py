"""The output folder of a build, new or resumed.

.building/build.json       what is built; exists until the build has finished
.building/fragments/       rows of windows that are in no shard yet
.building/windows/*/       rows that an engine's workers made in one run
.building/*.sqlite         temporary files of one run
.building/errors.parquet   errors of one run; moved to the folder at the end
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
from glimpse.files.digest import digest
from glimpse.index.building.finalize import tidy
from glimpse.index.storage.atomic_files import atomic
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
    """The fixed settings of a build.

    Attributes:
        per_shard: fragments per shard.
        first_shard: number of the first shard that the build writes.
        base: names of the shards that the index had before.
    """

    backbone: str
    embedding_space: str
    vector_type: str
    per_shard: int
    first_shard: int
    base: tuple[str, ...]


class Folder:
    """An index that is being built. It is opened with the lock held; only one thread at a time may write."""

    def __init__(self, out: Path, header: Header, per_shard: int) -> None:
        """Starts a build, or resumes the existing one, which keeps its `per_shard`.

        Raises:
            BuildError: the index has vectors of another backbone or type.
            IndexFolderError: the existing index is not valid.
            OSError: a file cannot be read or written.
        """
        self.out, self.header, self.work, self._vectors = out, header, out / WORK, out / VECTORS_FOLDER
        for folder in (out, self.work, self._vectors, self.work / "fragments"):
            for left in folder.glob(".*.tmp"):  # files of a killed process
                left.unlink()
        state = self._state(per_shard)
        if (state.embedding_space, state.vector_type) != (header.embedding_space, header.vector_type):
            theirs, ours = f"{state.backbone} in {state.vector_type}", f"{header.backbone} in {header.vector_type}"
            raise BuildError(f"{out} has vectors of {theirs}, the new ones would be of {ours}", _step(state, header))
        #: The shards that the index had before the build, in order.
        self.base_paths = [self._vectors / name for name in state.base]
        self.fragments = Fragments(self.work / "fragments", self._vectors, state.first_shard, state.per_shard)
        windows = self.work / "windows"
        for left in sorted(windows.glob("*/[!.]*.arrow")):
            self.fragments.adopt(left)
        shutil.rmtree(windows, ignore_errors=True)
        #: Folder for rows of windows that wait for earlier ones. Each run has its own, named by time, so that workers
        #: of a killed run cannot write to it.
        self.windows = windows / f"{time.time_ns():020d}"
        make_known(self.known_path, _tables(self.base_paths), self._made())

    def _state(self, per_shard: int) -> _State:
        path, header = self.work / _STATE, self.header
        if path.is_file():
            values = json.loads(path.read_text("utf-8"))
            state = _State(**{**values, "base": tuple(values["base"])})
            # The base is removed after a manifest without it was written; then only the work folder was left to remove.
            if all((self._vectors / name).is_file() for name in state.base):
                return state
        state = _State(header.backbone, header.embedding_space, header.vector_type, per_shard, 0, ())
        if (self.out / MANIFEST_NAME).is_file():
            manifest = read_manifest(self.out)
            names = [Path(shard.file).name for shard in manifest.shards]
            for shard in newest_shards(self._vectors).values():
                if shard.name not in names:  # left over from the last build
                    shard.unlink()
            first = max(newest_shards(self._vectors), default=-1) + 1
            of = (manifest.backbone, manifest.embedding_space, manifest.vector_type)
            state = _State(*of, per_shard, first, tuple(names))
        self.work.mkdir(exist_ok=True)
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(asdict(state)), "utf-8")
        return state

    @property
    def known_path(self) -> Path:
        """The temporary file of `Known`."""
        return self.work / "known.sqlite"

    def base(self) -> Shards:
        """Opens the rows that the index had before the build; `Known.row` returns their numbers."""
        return Shards(self.base_paths, self.header.dimension)

    def shards(self) -> list[Path]:
        """Returns all shards, in order."""
        return list(newest_shards(self._vectors).values())

    def _later(self) -> list[Path]:
        known = {path.name.split(".")[0] for path in self.base_paths}
        return [path for path in self.shards() if path.name.split(".")[0] not in known]

    def _made(self) -> Iterator[pa.Table]:
        yield from _tables(self._later())
        yield from self.fragments.tables()

    def without_superseded(self) -> list[Path]:
        """Returns all shards, after removing rows that a later row of the same id replaces. Raises OSError."""
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
        """Returns the existing manifest if it describes exactly these shards and the files made from them; otherwise
        None.

        A build killed between its last renames leaves other files than the manifest names. Raises IndexFolderError and
        OSError.
        """
        if not (self.out / MANIFEST_NAME).is_file():
            return None
        manifest = read_manifest(self.out)
        made = {INDEX_NAME: manifest.index.sha256, LABELS_NAME: manifest.labels_sha256}
        same = manifest.shard_paths(self.out) == list(shards)
        same = same and all(digest(self.out / name) == sha256 for name, sha256 in made.items() if sha256)
        return manifest if same else None

    def end(self, manifest: Manifest) -> None:
        """Finishes the build after the manifest was written. Raises OSError."""
        tidy(self.out, manifest)
        (self.work / _STATE).unlink(missing_ok=True)
        shutil.rmtree(self.work)


def vector_type_of(out: Path) -> VectorType | None:
    """Returns the vector type of the unfinished build or of the index; None without either. Raises IndexFolderError."""
    if (state := out / WORK / _STATE).is_file():
        vector_type: VectorType = json.loads(state.read_text("utf-8"))["vector_type"]
        return vector_type
    return read_manifest(out).vector_type if (out / MANIFEST_NAME).is_file() else None


def _step(state: _State, header: Header) -> str:
    same_space = state.embedding_space == header.embedding_space
    return f"give --vectors {state.vector_type}, or another --out" if same_space else "give another --out"


def _tables(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Yields the columns of each shard that describe its rows, without vectors."""
    for path in paths:
        shard = Shards([path])
        yield pa.table({name: shard.column(name) for name in COLUMNS})


def _whole(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read()
