"""manifest.json: what an index folder says of itself. Its rename is what makes a folder an index."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from glimpse.index.errors import IndexFolderError, unreadable
from glimpse.index.storage.atomic_files import atomic

FORMAT_VERSION: Literal[1] = 1
MANIFEST_NAME, INDEX_NAME = "manifest.json", "index.faiss"
#: How a factory was chosen, where not by count, dimension and memory.
GIVEN = "given"
LABELS_NAME, ERRORS_NAME, VECTORS_FOLDER = "labels.parquet", "errors.parquet", "vectors"

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Part = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Nothing that would move the cursor of whoever prints it.
Printable = Annotated[str, Field(pattern=r"^[ -~]{1,1024}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
VectorType = Literal["float16", "float32"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Part):
    """One file of vectors. `file` is a plain name in vectors/, so that no manifest points out of its folder."""

    file: Annotated[str, Field(pattern=r"^vectors/[A-Za-z0-9_][A-Za-z0-9_.-]*\.parquet$")]
    rows: Count
    sha256: Sha256


class Search(_Part):
    """What is set in the FAISS file: lists read, candidates kept on the graph, and how many times k are rescored."""

    nprobe: Positive | None = None
    ef_search: Positive | None = None
    k_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None


class Measured(_Part):
    """Beside exact search, over sampled rows as queries. Latencies are medians of a call, in milliseconds."""

    queries: Positive
    recall_at_10: Part
    vote_agreement: Part | None = None  # of queries whose ten neighbours vote for the same label; None without labels
    batch_1_ms: Milliseconds
    batch_64_ms: Milliseconds
    threads: Positive
    bytes_per_vector: Milliseconds
    min_recall: Part
    reached: bool


class FaissIndex(_Part):
    """The FAISS file. `chosen`: "given", or "auto: " and the reason."""

    file: Literal["index.faiss"] = "index.faiss"
    sha256: Sha256
    bytes: Positive
    factory: Printable
    chosen: str
    search: Search = Search()
    measured: Measured | None = None  # None of an index without rows


class Header(_Part):
    """What has to be told of vectors, as nothing in them says it. `rebuild`: the command that makes the index anew."""

    backbone: str
    embedding_space: Printable
    dimension: Annotated[int, Field(ge=1, le=65_536)]
    vector_type: VectorType = "float16"
    rebuild: str = ""


class Manifest(Header):
    """A whole index. Rows are numbered through the shards in their order; FAISS knows them by these numbers."""

    format_version: Literal[1] = FORMAT_VERSION
    count: Count
    label_count: Count
    domain_count: Count
    error_count: Count
    shards: tuple[Shard, ...]
    labels_sha256: Sha256 | None = None
    errors_sha256: Sha256 | None = None
    index: FaissIndex
    created: str  # UTC, ISO 8601
    glimpse: str
    faiss: str

    @model_validator(mode="after")
    def _adds_up(self) -> "Manifest":
        if sum(shard.rows for shard in self.shards) != self.count:
            raise ValueError(f"the shards do not have {self.count} rows together")
        if len({shard.file for shard in self.shards}) < len(self.shards):
            raise ValueError("a shard is named twice")
        if (self.labels_sha256 is None) != (self.label_count == 0):
            raise ValueError("label_count and labels_sha256 do not agree")
        if self.error_count and self.errors_sha256 is None:
            raise ValueError("error_count and errors_sha256 do not agree")
        return self

    def header(self) -> Header:
        """What another index of the same vectors is told."""
        return Header(**self.model_dump(include=set(Header.model_fields)))

    def shard_paths(self, folder: Path) -> list[Path]:
        """Of the shards, in order."""
        return [folder / shard.file for shard in self.shards]


def read_manifest(folder: Path) -> Manifest:
    """Checks the manifest, and that its files are in the folder; not what is in them. Raises IndexFolderError."""
    path = folder / MANIFEST_NAME
    try:
        values = json.loads(path.read_bytes())
    except RecursionError:
        raise IndexFolderError(path, "is nested too deeply", "build the index anew") from None
    except FileNotFoundError:
        raise _missing(folder) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    _check_version(path, values)
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise IndexFolderError(path, _first(error), "build the index anew") from None
    for file in _files(manifest):
        _check_inside(folder, file)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Makes the folder the index that the manifest describes, at once. Raises OSError."""
    with atomic(folder / MANIFEST_NAME) as path:
        # The version first, for people.
        values = {"format_version": manifest.format_version} | manifest.model_dump()
        path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _missing(folder: Path) -> IndexFolderError:
    if not folder.is_dir():
        return IndexFolderError(folder, "no such folder", "make it with `glimpse index build`")
    if (folder / ".building").is_dir():
        return IndexFolderError(folder, "its build has not ended", "end it with --resume")
    return IndexFolderError(folder, f"no index: it has no {MANIFEST_NAME}")


def _check_version(path: Path, values: Any) -> None:
    if not isinstance(values, dict):
        raise IndexFolderError(path, "is no JSON object", "build the index anew")
    version = values.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise IndexFolderError(
            path,
            f"format version {version!r}, and this Glimpse reads {FORMAT_VERSION}",
            "use the Glimpse that made it, or build the index anew",
        )


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def _files(manifest: Manifest) -> list[str]:
    files = [shard.file for shard in manifest.shards] + [manifest.index.file]
    if manifest.labels_sha256 is not None:
        files.append(LABELS_NAME)
    if manifest.errors_sha256 is not None:
        files.append(ERRORS_NAME)
    return files


def _check_inside(folder: Path, file: str) -> None:
    """A link that leaves the folder would let an index show any file of the machine."""
    path = folder / file
    real = os.path.realpath(path)
    if not real.startswith(os.path.realpath(folder) + os.sep):
        raise IndexFolderError(path, "is a link out of the folder")
    if not os.path.isfile(real):
        raise IndexFolderError(path, "is missing", "bring the file back, or build the index anew")
