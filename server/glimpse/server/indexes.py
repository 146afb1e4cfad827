"""The server's folder of indexes: an index is named by its folder in it, never by a path."""

import re
import time
from pathlib import Path
from typing import Final

from glimpse.index import BulkIndex, IndexFolderError, digest
from glimpse.index.manifest import MANIFEST_NAME
from glimpse.ledger import AttachmentRecord, CollectionRecord
from glimpse.server.attachment import Attachment
from glimpse.server.checks import check_label_id
from glimpse.server.errors import RequestError, failed_precondition, invalid, not_found

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Indexes:
    """Opens indexes. Blocking, and thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder

    def path(self, index_id: str, field: str) -> Path:
        """An index's folder, whether it is there or not. Raises RequestError."""
        if not _ID.fullmatch(index_id):
            message = f"{index_id!r}: letters, digits, `.`, `_` and `-`, 1 to 128, no `.` or `-` first"
            raise invalid("INVALID_ID", message, field)
        return self.folder / index_id

    def open(self, record: CollectionRecord, index_id: str, generation: int, field: str) -> Attachment:
        """An index as what a collection can stand on. Raises RequestError."""
        path = self.path(index_id, field)
        if not path.is_dir():
            message = f"there is no index {index_id!r} in the server's folder of indexes; bring its folder there"
            raise not_found("INDEX_NOT_FOUND", message, field)
        try:
            index = BulkIndex.open(path)
            found = AttachmentRecord(index_id, digest(path / MANIFEST_NAME), time.time_ns() // 1_000)
        except (IndexFolderError, OSError) as error:
            raise failed_precondition(
                "INDEX_UNUSABLE", f"index {index_id!r}: {_without(error, path)}", field
            ) from error
        self._check(record, index, index_id, field)
        return Attachment(found, index, generation)

    def reopen(
        self, record: CollectionRecord, attached: AttachmentRecord, generation: int, dead: list[int]
    ) -> Attachment:
        """The index that a collection stands on, as it was. Raises RequestError."""
        try:
            found = self.open(record, attached.index_id, generation, "collection")
        except RequestError as error:
            raise failed_precondition("INDEX_UNUSABLE", error.message, "collection") from error
        if found.record.digest != attached.digest:
            message = f"index {attached.index_id!r} is not what it was when it was attached; bring that back, or detach"
            raise failed_precondition("INDEX_UNUSABLE", message, "collection")
        return Attachment(attached, found.index, generation, dead)

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
