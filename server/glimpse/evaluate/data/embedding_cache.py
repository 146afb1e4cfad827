"""Vectors by the digest of what was embedded: nothing is embedded twice into one space, under whatever name.

A folder a space holds two files, that grow together: `vectors.f32`, d numbers an input, and `digests`, 32 bytes an
input. A row is there once its digest is; what an interrupted run left over beyond is cut off by the next.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from glimpse.backbone import Kind
from glimpse.fewshot.statistics.unit_vectors import Array

_DIGEST = 32  # bytes


def digest_of(kind: Kind, content: bytes) -> bytes:
    """Of an encoded picture, or of a text in UTF-8: one is never taken for the other."""
    return hashlib.sha256(kind.encode() + b"\0" + content).digest()


class VectorStore:
    """The vectors of one embedding space. Several processes may add at once; each sees its own."""

    def __init__(self, cache: Path, space: str, dimension: int) -> None:
        """Opens or makes `cache/space`. Raises OSError."""
        self._folder, self._dimension = cache / space, dimension
        self._folder.mkdir(parents=True, exist_ok=True)
        self._vectors, self._digests = self._folder / "vectors.f32", self._folder / "digests"
        for file in (self._vectors, self._digests):
            file.touch()
        known = self._digests.read_bytes()
        there = self._vectors.stat().st_size // (4 * dimension)
        count = min(len(known) // _DIGEST, there)
        self._rows = {known[_DIGEST * row : _DIGEST * (row + 1)]: row for row in range(count)}

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, digest: bytes) -> int | None:
        """Where a vector is, or None."""
        return self._rows.get(digest)

    def add(self, digests: Sequence[bytes], vectors: Array) -> None:
        """Keeps n vectors, (n, d), for good: they outlast whatever ends the process now."""
        with self._locked() as count:
            # Vectors first, so that no digest is ever without one.
            _append(self._vectors, 4 * self._dimension * count, np.ascontiguousarray(vectors, "<f4").tobytes())
            _append(self._digests, _DIGEST * count, b"".join(digests))
        self._rows.update({digest: count + i for i, digest in enumerate(digests)})

    def vectors(self) -> Array:
        """All of them, (n, d), mapped into memory rather than read."""
        count = self._vectors.stat().st_size // (4 * self._dimension)
        if not count:
            return np.empty((0, self._dimension), np.float32)
        return np.memmap(self._vectors, "<f4", "r", shape=(count, self._dimension))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Alone among processes; gives the number of whole rows."""
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
