"""Turns a window of inputs into rows: reads each input, checks whether it is known, decodes and encodes it.

    entry → bytes → digest → known? → prepared → vector → row

`look` runs in many threads; `Rows` runs in one other thread.
"""

import hashlib
import json
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from glimpse.backbone import Embedder, InputError, Kind, Prepared
from glimpse.builder.output.existing_rows import Known
from glimpse.index.storage.manifest import VectorType
from glimpse.index.storage.shard import rows_table
from glimpse.index.storage.shard_set import Shards
from glimpse.index.types import Vectors
from glimpse.inputs import Entry, Unreadable, read_text
from glimpse.inputs.errors import FILE_UNREADABLE, Rejected
from glimpse.inputs.fields import MAX_BYTES


@dataclass(frozen=True, slots=True)
class Looked:
    """An input after reading, without its content.

    Attributes:
        digest: SHA-256 of the content.
        state: "new", "same" or "changed", compared with the index.
        copied: the row of the index that has the vector of this content, or None.
        prepared: the encoder's input; None if nothing needs encoding.
        group: the input's group, or None.
    """

    id: str
    source: str
    label: str | None
    domain: str | None
    kind: Kind
    digest: bytes
    state: str
    copied: int | None = None
    prepared: Prepared | None = None
    group: str | None = None


@dataclass(slots=True)
class Tally:
    """Counts of inputs by result, and seconds spent; those of reading and decoding are summed over all threads."""

    inputs: int = 0
    known: int = 0
    encoded: int = 0
    copied: int = 0
    failed: int = 0
    changed: int = 0
    rows: int = 0
    read_seconds: float = 0.0
    encode_seconds: float = 0.0
    write_seconds: float = 0.0

    def add(self, other: "Tally") -> None:
        """Adds another tally."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Made:
    """The result of a window.

    Attributes:
        table: rows of the index, or None.
        failures: inputs that failed.
        tally: counts of the window.
    """

    table: pa.Table | None = None
    failures: list[Unreadable] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def look(entry: Entry | Unreadable, known: Known, reader: Embedder) -> tuple[Looked | Unreadable, float]:
    """Reads an input and prepares it for encoding if needed. Problems of the input become an `Unreadable`.

    Args:
        entry: the input.
        known: the rows that exist already.
        reader: prepares inputs.

    Returns:
        The result, and the seconds it took.
    """
    start = time.perf_counter()
    result: Looked | Unreadable
    try:
        result = entry if isinstance(entry, Unreadable) else _look(entry, known, reader)
    except (InputError, Rejected) as error:
        result = Unreadable(entry.source, entry.id, error.reason, str(error))
    except MemoryError:
        result = Unreadable(entry.source, entry.id, "OUT_OF_MEMORY", "it needs more memory than is available")
    except OSError as error:
        result = Unreadable(entry.source, entry.id, FILE_UNREADABLE, error.strerror or str(error))
    return result, time.perf_counter() - start


def _look(entry: Entry, known: Known, reader: Embedder) -> Looked:
    data = _read(entry.content, entry.kind) if isinstance(entry.content, Path) else entry.content
    content = data.encode() if isinstance(data, str) else data
    digest = hashlib.sha256(content).digest()
    fields = (entry.id, entry.source, entry.label, entry.domain, entry.kind, digest)
    state = known.state(entry, digest)
    if state == "same":
        return Looked(*fields, state, group=entry.group)
    if (row := known.row(digest)) is not None:
        return Looked(*fields, state, copied=row, group=entry.group)
    return Looked(*fields, state, prepared=_prepared(entry.kind, content, reader), group=entry.group)


def _read(path: Path, kind: Kind) -> bytes | str:
    """Reads a file. Raises OSError or Rejected."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):  # a pipe may never end
        raise Rejected(FILE_UNREADABLE, "not a regular file")
    if state.st_size > MAX_BYTES:
        raise Rejected("FILE_TOO_LARGE", f"{state.st_size:,} bytes; at most {MAX_BYTES:,}")
    return read_text(path) if kind == "text" else path.read_bytes()


def _prepared(kind: Kind, content: bytes, reader: Embedder) -> Prepared:
    """Prepares content for the encoder. Raises InputError, Rejected or MemoryError."""
    try:
        return reader.prepare(kind, content)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # exceptions of tokenizers on unusual texts have no common base
        raise Rejected(f"{kind.upper()}_UNREADABLE", str(error) or type(error).__name__) from error


class Rows:
    """Encodes windows. A window always gives the same rows, whatever came before it."""

    def __init__(self, reader: Embedder, base: Shards, vector_type: VectorType) -> None:
        """Prepares the encoding.

        Args:
            reader: the encoder.
            base: the rows that `Looked.copied` refers to.
            vector_type: the type of stored vectors.
        """
        self._reader, self._base, self._type = reader, base, vector_type

    def make(self, window: Sequence[tuple[Looked | Unreadable, float]]) -> Made:
        """Returns the result of a window of looked-at inputs, each with the seconds it took."""
        failures = [one for one, _ in window if isinstance(one, Unreadable)]
        looked = [one for one, _ in window if isinstance(one, Looked)]
        wanted = [one for one in looked if one.state != "same"]
        copied = {one.digest: one.copied for one in wanted if one.copied is not None}
        start = time.perf_counter()
        vectors = self._encoded(wanted)
        encoded, seconds = len(vectors), time.perf_counter() - start
        if copied:
            vectors |= zip(copied, self._base.vectors(list(copied.values())), strict=True)
        kept = [one for one in wanted if vectors[one.digest].any()]
        failures += [
            Unreadable(one.source, one.id, "VECTOR_NOT_FINITE", "the backbone returns no vector for it")
            for one in wanted
            if not vectors[one.digest].any()
        ]
        tally = Tally(
            inputs=len(window),
            known=len(looked) - len(wanted),
            encoded=encoded,
            copied=sum(one.prepared is None for one in wanted),
            failed=len(failures),
            changed=sum(one.state == "changed" for one in kept),
            rows=len(kept),
            read_seconds=sum(seconds for _, seconds in window),
            encode_seconds=seconds,
        )
        return Made(self._table(kept, vectors) if kept else None, failures, tally)

    def _encoded(self, wanted: Sequence[Looked]) -> dict[bytes, Vectors]:
        """Returns vectors by digest, each content encoded once; 0 if the backbone returns no vector."""
        result: dict[bytes, Vectors] = {}
        for kind in dict.fromkeys(one.kind for one in wanted):
            once = {one.digest: one.prepared for one in wanted if one.kind == kind and one.prepared is not None}
            vectors, _ = self._reader.encode_all(kind, list(once.values()))
            result |= zip(once, vectors, strict=True)
        return result

    def _table(self, kept: Sequence[Looked], vectors: dict[bytes, Vectors]) -> pa.Table:
        return rows_table(
            [one.id for one in kept],
            [one.label for one in kept],
            [one.domain for one in kept],
            [one.source for one in kept],
            [one.digest for one in kept],
            np.stack([vectors[one.digest] for one in kept]),
            self._type,
            [json.dumps({"modality": one.kind} | ({"group": one.group} if one.group else {})) for one in kept],
        )
