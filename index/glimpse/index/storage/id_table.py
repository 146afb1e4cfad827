"""Finds rows by id, and duplicate ids, with few bytes per id; a dictionary of strings needs about 150."""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from glimpse.index.types import Ids


class IdTable:
    """Maps the ids of an Arrow column to rows by their hashes, with 16 bytes per id. It is thread-safe."""

    def __init__(self, ids: pa.ChunkedArray) -> None:
        """Builds the table; takes some tenths of a second for a million ids."""
        self._ids = ids
        parts = [_hashes(chunk) for chunk in ids.chunks]
        hashes = np.concatenate([np.empty(0, np.int64), *parts])
        self._order: Ids = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def row(self, id: str) -> int | None:
        """Returns the row of an id, or None."""
        wanted = np.int64(hash(id))
        first = int(np.searchsorted(self._hashes, wanted))
        for place in range(first, len(self._hashes)):
            if self._hashes[place] != wanted:
                break
            row = int(self._order[place])
            if self._ids[row].as_py() == id:
                return row
        return None


def _hashes(ids: pa.Array) -> Ids:
    return np.fromiter(map(hash, ids.to_pylist()), np.int64, len(ids))


def last_of_each(parts: Iterable[pa.Array]) -> npt.NDArray[np.bool_]:
    """Returns which ids are the last of their name, bool (n,); needs 24 bytes per id while it runs."""
    # Hashes of 128 bits do not collide in practice.
    ids = np.concatenate([np.empty((0, 2), np.uint64), *map(_digests, parts)])
    # The sort is stable: equal ids stay in their order.
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    duplicate = (ids[order[1:]] == ids[order[:-1]]).all(1)
    last = np.ones(len(ids), np.bool_)
    last[order[:-1][duplicate]] = False
    return last


def _digests(ids: pa.Array) -> npt.NDArray[np.uint64]:
    hashes = b"".join(hashlib.blake2b(id.encode(), digest_size=16).digest() for id in ids.to_pylist())
    return np.frombuffer(hashes, np.uint64).reshape(-1, 2)
