"""From a window of inputs to its rows: read, look whether it is known, decode, encode.

    entry → bytes → digest → known? → prepared → vector → row

`look` is for many threads; `Rows` is for one, beside them.
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
from glimpse.index.search.flat_index import Vectors
from glimpse.index.storage.manifest import VectorType
from glimpse.index.storage.shard import rows_table
from glimpse.index.storage.shard_set import Shards
from glimpse.inputs import Entry, Unreadable, read_text
from glimpse.inputs.errors import FILE_UNREADABLE, Rejected
from glimpse.inputs.fields import MAX_BYTES


@dataclass(frozen=True, slots=True)
class Looked:
    """An input that was read, without its content.

    Attributes:
        state: of its id in the index: "new", "same" or "changed".
        copied: the row of the index that has a vector of this content, or None.
        prepared: what the encoder takes; None where no encoding is wanted.
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


@dataclass(slots=True)
class Tally:
    """What became of inputs, and the seconds it took; those of reading and decoding are all threads' together."""

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
        """Sums up."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Made:
    """What a window came to: rows of the index, or None, and inputs that failed."""

    table: pa.Table | None = None
    failures: list[Unreadable] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def look(entry: Entry | Unreadable, known: Known, reader: Embedder) -> tuple[Looked | Unreadable, float]:
    """Reads an input and makes it ready, if it has to be encoded; and the seconds that took. Fails by itself."""
    start = time.perf_counter()
    found: Looked | Unreadable
    try:
        found = entry if isinstance(entry, Unreadable) else _look(entry, known, reader)
    except (InputError, Rejected) as error:
        found = Unreadable(entry.source, entry.id, error.reason, str(error))
    except MemoryError:
        found = Unreadable(entry.source, entry.id, "OUT_OF_MEMORY", "it needs more memory than there is")
    except OSError as error:
        found = Unreadable(entry.source, entry.id, FILE_UNREADABLE, error.strerror or str(error))
    return found, time.perf_counter() - start


def _look(entry: Entry, known: Known, reader: Embedder) -> Looked:
    data = _read(entry.content, entry.kind) if isinstance(entry.content, Path) else entry.content
    content = data.encode() if isinstance(data, str) else data
    digest = hashlib.sha256(content).digest()
    told = (entry.id, entry.source, entry.label, entry.domain, entry.kind, digest)
    state = known.state(entry, digest)
    if state == "same":
        return Looked(*told, state)
    if (row := known.row(digest)) is not None:
        return Looked(*told, state, copied=row)
    return Looked(*told, state, prepared=_prepared(entry.kind, content, reader))


def _read(path: Path, kind: Kind) -> bytes | str:
    """Raises OSError, Rejected."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):  # a pipe, which may never end
        raise Rejected(FILE_UNREADABLE, "no regular file")
    if state.st_size > MAX_BYTES:
        raise Rejected("FILE_TOO_LARGE", f"{state.st_size:,} bytes; at most {MAX_BYTES:,}")
    return read_text(path) if kind == "text" else path.read_bytes()


def _prepared(kind: Kind, content: bytes, reader: Embedder) -> Prepared:
    """Raises InputError, Rejected, MemoryError."""
    try:
        return reader.prepare(kind, content)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # what a tokenizer makes of odd texts is of no one family
        raise Rejected(f"{kind.upper()}_UNREADABLE", str(error) or type(error).__name__) from error


class Rows:
    """Encodes windows. The same window makes the same rows, whatever came before it in the run."""

    def __init__(self, reader: Embedder, base: Shards, vector_type: VectorType) -> None:
        """`base`: the rows that `Looked.copied` numbers."""
        self._reader, self._base, self._type = reader, base, vector_type

    def make(self, window: Sequence[tuple[Looked | Unreadable, float]]) -> Made:
        """The rows of what was looked at, with the seconds that took."""
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
            Unreadable(one.source, one.id, "VECTOR_NOT_FINITE", "the backbone gives no vector for it")
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
        """By content, each encoded once; 0 where the backbone gives no vector."""
        found: dict[bytes, Vectors] = {}
        for kind in dict.fromkeys(one.kind for one in wanted):
            once = {one.digest: one.prepared for one in wanted if one.kind == kind and one.prepared is not None}
            vectors, _ = self._reader.encode_all(kind, list(once.values()))
            found |= zip(once, vectors, strict=True)
        return found

    def _table(self, kept: Sequence[Looked], vectors: dict[bytes, Vectors]) -> pa.Table:
        return rows_table(
            [one.id for one in kept],
            [one.label for one in kept],
            [one.domain for one in kept],
            [one.source for one in kept],
            [one.digest for one in kept],
            np.stack([vectors[one.digest] for one in kept]),
            self._type,
            [json.dumps({"modality": one.kind}) for one in kept],
        )
