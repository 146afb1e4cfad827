"""errors.parquet: every input of a run that failed, and why."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.index.storage.atomic_files import atomic, digest, synced
from glimpse.index.storage.manifest import ERRORS_NAME, Manifest, write_manifest
from glimpse.inputs import Unreadable

_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("id", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)
# Rows in memory; and how many are named at the end.
_HELD, _NAMED = 4_096, 5


class Failures:
    """Written as they come, in order; of use once it is closed."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.path = path
        self.count = 0
        #: The first few.
        self.named: list[Unreadable] = []
        self._held: list[Unreadable] = []
        self._writer: Any = pq.ParquetWriter(path, _SCHEMA, compression="zstd", write_statistics=False)

    def add(self, failures: Sequence[Unreadable]) -> None:
        """Raises OSError."""
        self.count += len(failures)
        self.named += failures[: _NAMED - len(self.named)]
        self._held += failures
        if len(self._held) >= _HELD:
            self._write()

    def close(self) -> None:
        """The file is whole, and has reached the disk. Raises OSError."""
        self._write()
        self._writer.close()
        synced(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go of the file, whatever is in it."""
        # Of a full disk enough was said.
        with suppress(OSError):
            self._writer.close()

    def _write(self) -> None:
        rows = [
            {
                "source": _carried(one.source),
                "id": one.id and _carried(one.id),
                "reason": one.reason,
                "message": _carried(one.message),
            }
            for one in self._held
        ]
        self._writer.write_table(pa.Table.from_pylist(rows, _SCHEMA))
        self._held.clear()


def with_errors(folder: Path, manifest: Manifest, file: Path, count: int) -> Manifest:
    """Gives an index other errors, of a file with so many rows. Raises OSError."""
    if count:
        with atomic(folder / ERRORS_NAME) as beside:
            shutil.copyfile(file, beside)
    told = {"error_count": count, "errors_sha256": digest(file) if count else None}
    fresh = manifest.model_copy(update=told)
    write_manifest(folder, fresh)
    if not count:
        (folder / ERRORS_NAME).unlink(missing_ok=True)
    return fresh


def _carried(text: str) -> str:
    """A text with what UTF-8 cannot carry written out: a file may be named by any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
