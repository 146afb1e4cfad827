"""Opens and reads an untrusted index folder in a separate process first; a crash there refuses the folder.

    python -m glimpse.index.integrity.sandbox FOLDER

FAISS's file is validated byte by byte (`faiss_validation`). Parquet is too complex for that: pages can be packed in
many ways, and a few bytes of a page can expand to gigabytes. So every column is decoded completely once, with limits on
memory and time.
"""

import os
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
# Memory in addition to interpreter and libraries. Ids and labels are packed in the file, and Python's strings are wide.
_BYTES, _WIDER = 2 << 30, 64
# Processor seconds; a million rows take 1.5. On a busy machine the wall time may be this many times longer.
_SECONDS, _BYTES_PER_SECOND, _BUSY = 30, 10_000_000, 30
_QUERIES, _NEAREST = 16, 10


def try_out(folder: Path) -> None:
    """Tries to read a folder in another process; takes some seconds for a million rows.

    Raises:
        IndexFolderError: the folder does not contain what its manifest says, or reading it failed.
    """
    size = _size(folder)
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, str(folder)],
            # An untrusted file is not copied to a GPU.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_BUSY * _seconds(size),
        )
    except subprocess.TimeoutExpired:
        raise IndexFolderError(folder, "takes too long to read", "build the index again") from None
    if done.returncode == _REFUSED:
        raise IndexFolderError(folder, done.stdout.strip(), "build the index again")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise IndexFolderError(folder, f"a process that read it failed: {last}", "build the index again")


def look(folder: Path) -> None:
    """Reads everything except the vectors, and searches for some of them. Raises IndexFolderError."""
    manifest = read_manifest(folder)
    shards = open_shards(folder, manifest)
    for name in schema(1, "float32").names[:-1]:
        required = not schema(1, "float32").field(name).nullable
        for piece in shards.pieces(name):
            _check(piece, required, folder)
    index = BulkIndex.open(folder)
    index.label_sums()
    index.row_of("")
    rows = np.unique(np.linspace(0, max(0, len(index) - 1), min(_QUERIES, len(index))).astype(np.int64))
    index.search(index.vectors(rows), _NEAREST)


def _check(piece: pa.Array, required: bool, folder: Path) -> None:
    """Checks that text is UTF-8 and that required values are present."""
    try:
        piece.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise IndexFolderError(folder, f"its columns are damaged: {error}") from None
    if required and piece.null_count:
        raise IndexFolderError(folder, "has rows without id, source or digest")


def _size(folder: Path) -> int:
    """Returns the bytes of the files that are read, by their actual size."""
    manifest = read_manifest(folder)
    return sum(path.stat().st_size for path in (folder / manifest.index.file, *manifest.shard_paths(folder)))


def _seconds(size: int) -> float:
    return _SECONDS + size / _BYTES_PER_SECOND


def main() -> None:
    """Reads the folder of the command line within limits of memory and time."""
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
        print(f"{folder}: takes more memory than its rows should")
        sys.exit(_REFUSED)


if __name__ == "__main__":
    main()
