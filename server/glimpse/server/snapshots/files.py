"""The files of a snapshot: written so that they have reached the disk, read only as their digests say."""

import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from glimpse.ledger.database.file_permissions import opener
from glimpse.server.collections.example_columns import Texts
from glimpse.server.snapshots.manifest import UnusableSnapshot

# Ids a line, so that no line takes long to make; and bytes at a time.
_LINE, _PIECE = 1_000, 1 << 20


class _Digesting:
    """A file that is digested as it is written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.sha256.update(data)
        return self._stream.write(data)


def write_array(file: Path, values: np.ndarray[Any, Any]) -> str:
    """Returns the SHA-256. Raises OSError."""
    with open(file, "wb", opener=opener) as stream:
        digesting = _Digesting(stream)
        # As numpy.save does, which to anything but a real file goes by copies that others wait for.
        np.lib.format.write_array_header_1_0(digesting, np.lib.format.header_data_from_array_1_0(values))
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        for start in range(0, len(data), _PIECE):
            digesting.write(data[start : start + _PIECE].data)
        _settle(stream)
    return digesting.sha256.hexdigest()


def write_lines(file: Path, texts: Texts) -> str:
    """Texts as lists in JSON, some a line. Returns the SHA-256. Raises OSError."""
    return _write(file, (json.dumps(texts[start : start + _LINE].tolist()) for start in range(0, len(texts), _LINE)))


def write_json(file: Path, value: object) -> str:
    """Returns the SHA-256. Raises OSError."""
    return _write(file, [json.dumps(value)])


def _write(file: Path, lines: Iterable[str]) -> str:
    with open(file, "wb", opener=opener) as stream:
        digesting = _Digesting(stream)
        for line in lines:
            digesting.write(f"{line}\n".encode())
        _settle(stream)
    return digesting.sha256.hexdigest()


def _settle(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def read_verified(file: Path, sha256: str) -> bytes:
    """A file's bytes. Raises UnusableSnapshot."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnusableSnapshot(f"{file.name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UnusableSnapshot(f"{file.name} is not what its digest says")
    return data


def read_array(file: Path, sha256: str) -> np.ndarray[Any, Any]:
    """An array that cannot be written to, over the very bytes that were digested. Raises UnusableSnapshot."""
    data = read_verified(file, sha256)
    stream = io.BytesIO(data)
    np.lib.format.read_magic(stream)
    shape, _, kind = np.lib.format.read_array_header_1_0(stream)
    return np.frombuffer(data, kind, offset=stream.tell()).reshape(shape)


def read_lines(file: Path, sha256: str) -> Texts:
    """What `write_lines` wrote. Raises UnusableSnapshot."""
    lines = [np.array(json.loads(line), object) for line in read_verified(file, sha256).splitlines()]
    return np.concatenate([np.empty(0, object), *lines])


def read_json(file: Path, sha256: str) -> Any:
    """What `write_json` wrote. Raises UnusableSnapshot."""
    return json.loads(read_verified(file, sha256))
