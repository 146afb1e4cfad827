"""errors.parquet: every failed input of a run, with the reason."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.files.digest import digest
from glimpse.index.storage.atomic_files import atomic, synced
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
# Rows kept in memory, and the number of failures named at the end.
_HELD, _NAMED = 4_096, 5


class Failures:
    """Writes failed inputs in order; the file is complete after `close`."""

    def __init__(self, path: Path) -> None:
        """Opens the file. Raises OSError."""
        self.path = path
        self.count = 0
        #: The first failures.
        self.named: list[Unreadable] = []
        self._held: list[Unreadable] = []
        self._writer: Any = pq.ParquetWriter(path, _SCHEMA, compression="zstd", write_statistics=False)

    def add(self, failures: Sequence[Unreadable]) -> None:
        """Adds failed inputs. Raises OSError."""
        self.count += len(failures)
        self.named += failures[: _NAMED - len(self.named)]
        self._held += failures
        if len(self._held) >= _HELD:
            self._write()

    def close(self) -> None:
        """Completes the file and waits until it is on the disk. Raises OSError."""
        self._write()
        self._writer.close()
        synced(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file in any state."""
        # An error of a full disk was reported before.
        with suppress(OSError):
            self._writer.close()

    def _write(self) -> None:
        rows = [
            {
                "source": _escaped(failure.source),
                "id": failure.id and _escaped(failure.id),
                "reason": failure.reason,
                "message": _escaped(failure.message),
            }
            for failure in self._held
        ]
        self._writer.write_table(pa.Table.from_pylist(rows, _SCHEMA))
        self._held.clear()


def with_errors(folder: Path, manifest: Manifest, file: Path, count: int) -> Manifest:
    """Replaces an index's errors by those of a file with `count` rows. Raises OSError."""
    if count:
        with atomic(folder / ERRORS_NAME) as temporary:
            shutil.copyfile(file, temporary)
    fields = {"error_count": count, "errors_sha256": digest(file) if count else None}
    updated = manifest.model_copy(update=fields)
    write_manifest(folder, updated)
    if not count:
        (folder / ERRORS_NAME).unlink(missing_ok=True)
    return updated


def _escaped(text: str) -> str:
    """A text with what UTF-8 cannot carry written out: a file may be named by any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
