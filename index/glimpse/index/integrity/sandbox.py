"""An index folder from anybody, opened and read by a process of its own first: what crashes that refuses the folder.

    python -m glimpse.index.integrity.sandbox FOLDER

FAISS's file is looked through byte by byte (`faiss_check`). Parquet is too wide for that: pages may be packed in many
ways, and some bytes of a page can stand for gigabytes. So every column is decoded once, whole, where memory and time
have an end.
"""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from glimpse.index.errors import IndexFolderError
from glimpse.index.memory_limit import memory_bytes
from glimpse.index.search.bulk_index import BulkIndex, open_shards
from glimpse.index.storage.manifest import read_manifest
from glimpse.index.storage.shard import schema

_REFUSED = 3
# Beside the interpreter and the libraries: ids and labels are packed, and Python's strings are wide.
_BYTES, _WIDER = 2 << 30, 64
# Of one processor, where a million rows take 1.5; and how much longer that may last on a busy machine.
_SECONDS, _BYTES_A_SECOND, _BUSY = 30, 10_000_000, 30
_ASKED, _NEAREST = 16, 10


def try_out(folder: Path) -> None:
    """Some seconds for a million rows. Raises IndexFolderError where the folder does not hold what it says."""
    size = _size(folder)
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_BUSY * _seconds(size),
        )
    except subprocess.TimeoutExpired:
        raise IndexFolderError(folder, "takes too long to read", "build the index anew") from None
    if done.returncode == _REFUSED:
        raise IndexFolderError(folder, done.stdout.strip(), "build the index anew")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise IndexFolderError(folder, f"a process that read it failed: {last}", "build the index anew")


def look(folder: Path) -> None:
    """Reads all but the vectors, and finds some of them. Raises IndexFolderError."""
    manifest = read_manifest(folder)
    shards = open_shards(folder, manifest)
    for name in schema(1, "float32").names[:-1]:
        required = not schema(1, "float32").field(name).nullable
        for piece in shards.pieces(name):
            _check(piece, required, folder)
    index = BulkIndex.open(folder)
    index.label_sums()
    index.row_of("")
    rows = np.unique(np.linspace(0, max(0, len(index) - 1), min(_ASKED, len(index))).astype(np.int64))
    index.search(index.vectors(rows), _NEAREST)


def _check(piece: pa.Array, required: bool, folder: Path) -> None:
    """That text is UTF-8, that a name is one, and that what has to be there is there."""
    try:
        piece.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise IndexFolderError(folder, f"its columns are damaged: {error}") from None
    if required and piece.null_count:
        raise IndexFolderError(folder, "has rows without id, source or digest")


def _size(folder: Path) -> int:
    """Bytes of what is read: a number that nobody can only declare."""
    manifest = read_manifest(folder)
    return sum(path.stat().st_size for path in (folder / manifest.index.file, *manifest.shard_paths(folder)))


def _seconds(size: int) -> float:
    return _SECONDS + size / _BYTES_A_SECOND


def main() -> None:
    """See above."""
    folder = Path(sys.argv[1])
    try:
        size = _size(folder)
        for limit, most in (
            (resource.RLIMIT_DATA, min(_BYTES + _WIDER * size, memory_bytes())),
            (resource.RLIMIT_CPU, int(_seconds(size))),
        ):
            resource.setrlimit(limit, (most, most))
        look(folder)
    except (IndexFolderError, OSError, ValueError, IndexError, pa.ArrowException) as error:
        print(error)
        sys.exit(_REFUSED)
    except MemoryError:
        print(f"{folder}: takes more memory than its rows do")
        sys.exit(_REFUSED)


if __name__ == "__main__":
    main()
