"""The files of a snapshot: flushed to the disk when written, checked against their digests when read."""

import hashlib
import io
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from glimpse.ledger.database.file_permissions import opener
from glimpse.server.collections.example_columns import Texts
from glimpse.server.snapshots.manifest import UnusableSnapshot

# Ids in a line, so that no line takes long to encode; and bytes written at a time.
_LINE, _PIECE = 1_000, 1 << 20


class _DigestingFile:
    """A file that computes its SHA-256 while it is written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.sha256.update(data)
        return self._stream.write(data)


def write_array(file: Path, values: np.ndarray[Any, Any]) -> str:
    """Writes an array in NPY format, and returns the file's SHA-256. Raises OSError."""
    with open(file, "wb", opener=opener) as stream:
        digesting = _DigestingFile(stream)
        # numpy.save would copy the data for anything but a real file, and hold up other threads during that.
        np.lib.format.write_array_header_1_0(digesting, np.lib.format.header_data_from_array_1_0(values))
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        for start in range(0, len(data), _PIECE):
            digesting.write(data[start : start + _PIECE].data)
        _sync(stream)
    return digesting.sha256.hexdigest()


def write_lines(file: Path, texts: Texts) -> str:
    """Writes texts as JSON lists, a thousand in a line, and returns the file's SHA-256. Raises OSError."""
    return _write(file, (json.dumps(texts[start : start + _LINE].tolist()) for start in range(0, len(texts), _LINE)))


def write_json(file: Path, value: object) -> str:
    """Writes a value as JSON, and returns the file's SHA-256. Raises OSError."""
    return _write(file, [json.dumps(value)])


def _write(file: Path, lines: Iterable[str]) -> str:
    with open(file, "wb", opener=opener) as stream:
        digesting = _DigestingFile(stream)
        for line in lines:
            digesting.write(f"{line}\n".encode())
        _sync(stream)
    return digesting.sha256.hexdigest()


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def read_verified(file: Path, sha256: str) -> bytes:
    """Returns a file's bytes. Raises UnusableSnapshot if they do not have the digest `sha256`."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnusableSnapshot(f"{file.name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UnusableSnapshot(f"{file.name} does not match its digest")
    return data


def read_array(file: Path, sha256: str) -> np.ndarray[Any, Any]:
    """Returns a read-only array over the bytes that were checked. Raises UnusableSnapshot."""
    data = read_verified(file, sha256)
    stream = io.BytesIO(data)
    np.lib.format.read_magic(stream)
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    # The values follow the header, to the end of the file.
    offset = len(data) - math.prod(shape) * dtype.itemsize
    return np.frombuffer(data, dtype, offset=offset).reshape(shape)


def read_lines(file: Path, sha256: str) -> Texts:
    """Returns the texts that `write_lines` wrote. Raises UnusableSnapshot."""
    lines = [np.array(json.loads(line), object) for line in read_verified(file, sha256).splitlines()]
    return np.concatenate([np.empty(0, object), *lines])


def read_json(file: Path, sha256: str) -> Any:
    """Returns the value that `write_json` wrote. Raises UnusableSnapshot."""
    return json.loads(read_verified(file, sha256))
