"""manifest.json, the description of an index folder. A folder becomes an index when this file is renamed into place."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from glimpse.index.errors import IndexFolderError, unreadable
from glimpse.index.storage.atomic_files import atomic

FORMAT_VERSION: Literal[1] = 1
MANIFEST_NAME, INDEX_NAME = "manifest.json", "index.faiss"
#: Value of `FaissIndex.chosen` if the user gave the factory string.
GIVEN = "given"
LABELS_NAME, ERRORS_NAME, VECTORS_FOLDER = "labels.parquet", "errors.parquet", "vectors"

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Printable characters only, so that a terminal can show them safely.
Printable = Annotated[str, Field(pattern=r"^[ -~]{1,1024}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
VectorType = Literal["float16", "float32"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Model):
    """One file of vectors. `file` is a plain name in vectors/, so that a manifest cannot point out of its folder."""

    file: Annotated[str, Field(pattern=r"^vectors/[A-Za-z0-9_][A-Za-z0-9_.-]*\.parquet$")]
    rows: Count
    sha256: Sha256


class Search(_Model):
    """Search parameters stored in the FAISS file.

    Attributes:
        nprobe: lists read.
        ef_search: candidates kept on the graph.
        k_factor: candidates rescored, as a multiple of k.
    """

    nprobe: Positive | None = None
    ef_search: Positive | None = None
    k_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None


class Measured(_Model):
    """Measurements against exact search with sampled rows as queries. Latencies are medians in milliseconds."""

    queries: Positive
    recall_at_10: Fraction
    # share of queries whose ten neighbours vote for the same label; None without labels
    vote_agreement: Fraction | None = None
    batch_1_ms: Milliseconds
    batch_64_ms: Milliseconds
    threads: Positive
    bytes_per_vector: Milliseconds
    min_recall: Fraction
    reached: bool


class FaissIndex(_Model):
    """The FAISS file. `chosen` is "given", or "auto: " and the reason."""

    file: Literal["index.faiss"] = "index.faiss"
    sha256: Sha256
    bytes: Positive
    factory: Printable
    chosen: str
    search: Search = Search()
    measured: Measured | None = None  # None for an index without rows


class Header(_Model):
    """The properties of vectors that they do not state themselves. `rebuild` is the command that builds the index
    again.
    """

    backbone: str
    embedding_space: Printable
    dimension: Annotated[int, Field(ge=1, le=65_536)]
    vector_type: VectorType = "float16"
    rebuild: str = ""


class Manifest(Header):
    """The manifest. Rows are numbered through the shards in order; FAISS's ids are these numbers."""

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
            raise ValueError(f"the shards do not have {self.count} rows in total")
        if len({shard.file for shard in self.shards}) < len(self.shards):
            raise ValueError("a shard is named twice")
        if (self.labels_sha256 is None) != (self.label_count == 0):
            raise ValueError("label_count and labels_sha256 do not agree")
        if self.error_count and self.errors_sha256 is None:
            raise ValueError("error_count and errors_sha256 do not agree")
        return self

    def header(self) -> Header:
        """Returns the header for another index of the same vectors."""
        return Header(**self.model_dump(include=set(Header.model_fields)))

    def shard_paths(self, folder: Path) -> list[Path]:
        """Returns the shards' paths, in order."""
        return [folder / shard.file for shard in self.shards]


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks the manifest, and that its files are in the folder. The files' content is not checked.

    Raises:
        IndexFolderError: the folder is not an index, or the manifest is not valid.
    """
    path = folder / MANIFEST_NAME
    try:
        values = json.loads(path.read_bytes())
    except RecursionError:
        raise IndexFolderError(path, "is nested too deeply", "build the index again") from None
    except FileNotFoundError:
        raise _missing(folder) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    _check_version(path, values)
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise IndexFolderError(path, _first(error), "build the index again") from None
    for file in _files(manifest):
        _check_inside(folder, file)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replaces the folder's manifest in one step. Raises OSError."""
    with atomic(folder / MANIFEST_NAME) as path:
        # Put the version first, for readers.
        values = {"format_version": manifest.format_version} | manifest.model_dump()
        path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _missing(folder: Path) -> IndexFolderError:
    if not folder.is_dir():
        return IndexFolderError(folder, "no such folder", "make it with `glimpse index build`")
    if (folder / ".building").is_dir():
        return IndexFolderError(folder, "its build has not finished", "continue it with --resume")
    return IndexFolderError(folder, f"is not an index: it has no {MANIFEST_NAME}")


def _check_version(path: Path, values: Any) -> None:
    if not isinstance(values, dict):
        raise IndexFolderError(path, "is not a JSON object", "build the index again")
    version = values.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise IndexFolderError(
            path,
            f"has format version {version!r}; this Glimpse reads {FORMAT_VERSION}",
            "use the Glimpse that made it, or build the index again",
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
    """Checks that a file exists and is not a link out of the folder, which could expose any file of the machine."""
    path = folder / file
    real = os.path.realpath(path)
    if not real.startswith(os.path.realpath(folder) + os.sep):
        raise IndexFolderError(path, "is a link out of the folder")
    if not os.path.isfile(real):
        raise IndexFolderError(path, "is missing", "restore the file, or build the index again")
