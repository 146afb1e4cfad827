"""The server's folder of indexes: an index is named by its folder in it, never by a path."""

import itertools
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from glimpse.fewshot.statistics.unit_vectors import Floats
from glimpse.index import BulkIndex, IndexFolderError, digest
from glimpse.index.integrity.sandbox import try_out
from glimpse.index.storage.manifest import MANIFEST_NAME
from glimpse.ledger import AttachmentRecord, CollectionRecord
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.errors import RequestError, failed_precondition, invalid, not_found
from glimpse.server.validation import check_label_id
from glimpse.v1 import types_pb2

#: Of each label: how many rows it has, (C,), and their sums, (C, d).
Sums = tuple[Floats, Floats]
_LONGEST = 128
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class IndexDirectory:
    """Opens indexes. Blocking, and thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        # What tells an index that is opened from all those before.
        self._generations = itertools.count(1)

    def path(self, index_id: str, field: str) -> Path:
        """An index's folder, whether it is there or not. Raises RequestError."""
        if not _ID.fullmatch(index_id):
            right = re.sub(r"[^A-Za-z0-9_.-]+", "-", index_id).strip("-.")[:_LONGEST]
            hint = f"; {right!r} would do" if right else ""
            message = f"{index_id!r}: letters, digits, `.`, `_` and `-`, 1 to {_LONGEST}, no `.` or `-` first{hint}"
            raise invalid("INVALID_ID", message, field)
        return self.folder / index_id

    def check_there(self, index_id: str, field: str) -> Path:
        """An index's folder, which is there. Raises RequestError."""
        path = self.path(index_id, field)
        if not path.is_dir():
            message = f"there is no index {index_id!r} in the server's folder of indexes; bring its folder there"
            raise not_found("INDEX_NOT_FOUND", message, field)
        return path

    def open(
        self, record: CollectionRecord, index_id: str, field: str, dead: Sequence[int] = ()
    ) -> tuple[AttachedIndex, Sums]:
        """An index as what a collection can stand on, and what its labels' rows come to. Raises RequestError."""
        path = self.check_there(index_id, field)
        try:
            before = digest(path / MANIFEST_NAME) if (path / MANIFEST_NAME).is_file() else ""
            index = BulkIndex.open(path)
            if digest(path / MANIFEST_NAME) != before:
                raise IndexFolderError(path, "is being changed; try again")
            self._check(record, index, index_id, field)
            found = AttachmentRecord(index_id, before, time.time_ns() // 1_000)
            independent = record.label_mode == types_pb2.LABEL_MODE_INDEPENDENT
            attachment = AttachedIndex(found, index, next(self._generations), dead, contents=independent)
            return attachment, attachment.sums()
        except (IndexFolderError, OSError, ValueError, IndexError) as error:
            message = f"index {index_id!r}: {_without(error, path)}"
            raise failed_precondition("INDEX_UNUSABLE", message, field) from error

    def open_new(self, record: CollectionRecord, index_id: str, field: str) -> tuple[AttachedIndex, Sums]:
        """As `open`, of an index that anybody may have made: another process reads it first. Raises RequestError."""
        path = self.check_there(index_id, field)
        try:
            try_out(path)
        except (IndexFolderError, OSError) as error:
            message = f"index {index_id!r}: {_without(error, path)}"
            raise failed_precondition("INDEX_UNUSABLE", message, field) from error
        return self.open(record, index_id, field)

    def reopen(
        self, record: CollectionRecord, attached: AttachmentRecord, dead: Sequence[int]
    ) -> tuple[AttachedIndex, Sums]:
        """The index that a collection stands on, as it was. Raises RequestError."""
        try:
            found, sums = self.open(record, attached.index_id, "collection", dead)
        except RequestError as error:
            raise failed_precondition("INDEX_UNUSABLE", error.message, "collection") from error
        if found.record.digest != attached.digest:
            message = f"index {attached.index_id!r} is not what it was when it was attached; bring that back, or detach"
            raise failed_precondition("INDEX_UNUSABLE", message, "collection")
        found.record = attached
        return found, sums

    def _check(self, record: CollectionRecord, index: BulkIndex, index_id: str, field: str) -> None:
        manifest = index.manifest
        if (manifest.embedding_space, manifest.dimension) != (record.embedding_space, record.dimension):
            message = (
                f"index {index_id!r} is of {manifest.backbone}'s embedding space {manifest.embedding_space}, "
                f"collection {record.id!r} of {record.embedding_space}; build it with the collection's backbone"
            )
            raise failed_precondition("EMBEDDING_SPACE_MISMATCH", message, field)
        for label in index.labels:
            try:
                check_label_id(label, field)
            except RequestError as error:
                raise failed_precondition("INDEX_UNUSABLE", f"index {index_id!r}: {error.message}", field) from error


def _without(error: Exception, path: Path) -> str:
    """What went wrong, without where the server keeps its files."""
    return str(error).replace(f"{path}/", "").replace(str(path), "its folder")
