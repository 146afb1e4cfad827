"""A cache of vectors by content digest: no input is embedded twice into one embedding space.

A folder per embedding space holds two files that grow together: `vectors.f32`, d floats per input, and `digests`, 32
bytes per input. A row exists once its digest is written. Bytes beyond the complete rows, left by an interrupted run,
are cut off by the next write.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Kind
from glimpse.fewshot.statistics.unit_vectors import Array

Bytes = npt.NDArray[np.uint8]
_DIGEST = 32  # bytes


def digest_of(kind: Kind, content: bytes) -> bytes:
    """Returns the SHA-256 of an encoded image or a UTF-8 text; the kind is part of it."""
    return hashlib.sha256(kind.encode() + b"\0" + content).digest()


class VectorStore:
    """The cached vectors of one embedding space. Several processes may add at once; each sees its own additions."""

    def __init__(self, cache: Path, space: str, dimension: int) -> None:
        """Opens or creates `cache/space`. Raises OSError."""
        self._folder, self._dimension = cache / space, dimension
        self._folder.mkdir(parents=True, exist_ok=True)
        self._vectors, self._digests = self._folder / "vectors.f32", self._folder / "digests"
        for file in (self._vectors, self._digests):
            file.touch()
        known = self._digests.read_bytes()
        stored = self._vectors.stat().st_size // (4 * dimension)
        count = min(len(known) // _DIGEST, stored)
        self._rows = {known[_DIGEST * row : _DIGEST * (row + 1)]: row for row in range(count)}

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, digest: bytes) -> int | None:
        """Returns the row of a vector, or None."""
        return self._rows.get(digest)

    def add(self, digests: Sequence[bytes], vectors: Array) -> None:
        """Stores vectors, `(n, d)`, durably."""
        with self._locked() as count:
            # Write vectors first, so that every digest has one.
            _append(self._vectors, 4 * self._dimension * count, np.ascontiguousarray(vectors, "<f4").tobytes())
            _append(self._digests, _DIGEST * count, b"".join(digests))
        self._rows.update({digest: count + i for i, digest in enumerate(digests)})

    def vectors(self) -> Array:
        """Returns all vectors, `(n, d)` float32, memory-mapped."""
        count = self._vectors.stat().st_size // (4 * self._dimension)
        if not count:
            return np.empty((0, self._dimension), np.float32)
        return np.memmap(self._vectors, "<f4", "r", shape=(count, self._dimension))

    def digests(self) -> Bytes:
        """Returns the digests of all vectors, `(n, 32)` uint8."""
        known = self._digests.read_bytes()
        return np.frombuffer(known[: len(known) // _DIGEST * _DIGEST], np.uint8).reshape(-1, _DIGEST)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Locks out other processes; yields the number of complete rows."""
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            sizes = self._digests.stat().st_size // _DIGEST, self._vectors.stat().st_size // (4 * self._dimension)
            yield min(sizes)


def _append(file: Path, at: int, content: bytes) -> None:
    with file.open("r+b") as stream:
        stream.truncate(at)
        stream.seek(at)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
