"""Ids to rows, and ids that are there twice, in some bytes an id: a dictionary of strings has some 150."""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from glimpse.index.search.flat_index import Ids


class IdTable:
    """The rows of an Arrow column of ids, by their hashes: 16 bytes an id. Safe to use from several threads."""

    def __init__(self, ids: pa.ChunkedArray) -> None:
        """Some tenths of a second for a million."""
        self._ids = ids
        parts = [_hashes(chunk) for chunk in ids.chunks]
        hashes = np.concatenate([np.empty(0, np.int64), *parts])
        self._order: Ids = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def row(self, id: str) -> int | None:
        """Where an id is; None: nowhere."""
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
    """Of n ids, in parts, which are the last of their name, (n,): 24 bytes an id, while it runs."""
    # 128 bits, which no two ids ever share.
    ids = np.concatenate([np.empty((0, 2), np.uint64), *map(_digests, parts)])
    # Stable: equal ids stay in their order.
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    again = (ids[order[1:]] == ids[order[:-1]]).all(1)
    last = np.ones(len(ids), np.bool_)
    last[order[:-1][again]] = False
    return last


def _digests(ids: pa.Array) -> npt.NDArray[np.uint64]:
    found = b"".join(hashlib.blake2b(id.encode(), digest_size=16).digest() for id in ids.to_pylist())
    return np.frombuffer(found, np.uint64).reshape(-1, 2)
