"""The server's directory of indexes. A request names an index by its folder in it, never by a path."""

import itertools
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from glimpse.fewshot.statistics.unit_vectors import Floats
from glimpse.index import IndexFolderError, digest
from glimpse.index.storage.manifest import MANIFEST_NAME
from glimpse.ledger import AttachmentRecord, CollectionRecord
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.errors import RequestError, failed_precondition, invalid, not_found
from glimpse.server.validation import check_label_id
from glimpse.v1 import types_pb2

if TYPE_CHECKING:
    from glimpse.index import BulkIndex

logger = logging.getLogger(__name__)
#: The number of rows of each label, `(C,)`, and the sums of their vectors, `(C, d)`.
Sums = tuple[Floats, Floats]
_MAX_ID = 128
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class IndexDirectory:
    """Opens indexes. Its methods block, and may be called in any thread."""

    def __init__(self, folder: Path, *, gpu: bool = True) -> None:
        """Opens indexes in `folder`; with `gpu`, copies them to a GPU that can hold them."""
        self.folder: Final = folder
        self._gpu = gpu
        # Gives every opened index a number that no earlier one had.
        self._generations = itertools.count(1)

    def path(self, index_id: str, field: str) -> Path:
        """Returns an index's folder, whether it exists or not. Raises RequestError for an invalid id."""
        if not _ID.fullmatch(index_id):
            valid_id = re.sub(r"[^A-Za-z0-9_.-]+", "-", index_id).strip("-.")[:_MAX_ID]
            hint = f"; {valid_id!r} would do" if valid_id else ""
            message = (
                f"index id {index_id!r} is invalid: use 1 to {_MAX_ID} letters, digits, `.`, `_` and `-`, "
                f"with no `.` or `-` first{hint}"
            )
            raise invalid("INVALID_ID", message, field)
        return self.folder / index_id

    def check_exists(self, index_id: str, field: str) -> Path:
        """Returns the folder of an existing index. Raises RequestError."""
        path = self.path(index_id, field)
        if not path.is_dir():
            message = f"there is no index {index_id!r} in the server's directory of indexes; copy its folder there"
            raise not_found("INDEX_NOT_FOUND", message, field)
        return path

    def open(
        self, record: CollectionRecord, index_id: str, field: str, deleted: Sequence[int] = ()
    ) -> tuple[AttachedIndex, Sums]:
        """Opens a trusted index for a collection.

        Args:
            record: The collection; the index must be in its embedding space.
            index_id: The index.
            field: The request's field, for errors.
            deleted: The positions of deleted rows.

        Returns:
            The index, and the counts and sums of its labels.

        Raises:
            RequestError: The index is missing, damaged, or in another embedding space; or this server cannot open any.
        """
        check_can_open(field)
        from glimpse.index import BulkIndex

        path = self.check_exists(index_id, field)
        try:
            before = digest(path / MANIFEST_NAME) if (path / MANIFEST_NAME).is_file() else ""
            index = BulkIndex.open(path, gpu=self._gpu)
            if digest(path / MANIFEST_NAME) != before:
                raise IndexFolderError(path, "changed while it was opened; retry")
            self._check(record, index, index_id, field)
            attachment = AttachmentRecord(index_id, before, time.time_ns() // 1_000)
            independent = record.label_mode == types_pb2.LABEL_MODE_INDEPENDENT
            attached = AttachedIndex(attachment, index, next(self._generations), deleted, contents=independent)
            logger.info("index %s is searched %s", index_id, index.searched)
            return attached, attached.sums()
        except (IndexFolderError, OSError, ValueError, IndexError) as error:
            message = f"index {index_id!r}: {_without_path(error, path)}"
            raise failed_precondition("INDEX_UNUSABLE", message, field) from error

    def open_new(self, record: CollectionRecord, index_id: str, field: str) -> tuple[AttachedIndex, Sums]:
        """Opens an index of unknown origin as `open` does, after a process of its own has read it.

        A file that crashes FAISS ends that process and not the server. Raises RequestError.
        """
        check_can_open(field)
        from glimpse.index.integrity.sandbox import try_out

        path = self.check_exists(index_id, field)
        try:
            try_out(path)
        except (IndexFolderError, OSError) as error:
            message = f"index {index_id!r}: {_without_path(error, path)}"
            raise failed_precondition("INDEX_UNUSABLE", message, field) from error
        return self.open(record, index_id, field)

    def reopen(
        self, record: CollectionRecord, attachment: AttachmentRecord, deleted: Sequence[int]
    ) -> tuple[AttachedIndex, Sums]:
        """Opens the index that a collection is attached to.

        Raises RequestError, also if the index has changed since it was attached.
        """
        try:
            attached, sums = self.open(record, attachment.index_id, "collection", deleted)
        except RequestError as error:
            raise failed_precondition("INDEX_UNUSABLE", error.message, "collection") from error
        if attached.record.digest != attachment.digest:
            message = f"index {attachment.index_id!r} has changed since it was attached; restore it, or detach it"
            raise failed_precondition("INDEX_UNUSABLE", message, "collection")
        attached.record = attachment
        return attached, sums

    def _check(self, record: CollectionRecord, index: "BulkIndex", index_id: str, field: str) -> None:
        manifest = index.manifest
        if (manifest.embedding_space, manifest.dimension) != (record.embedding_space, record.dimension):
            message = (
                f"index {index_id!r} is in {manifest.backbone}'s embedding space {manifest.embedding_space}, "
                f"collection {record.id!r} in {record.embedding_space}; build the index with the collection's backbone"
            )
            raise failed_precondition("EMBEDDING_SPACE_MISMATCH", message, field)
        for label in index.labels:
            try:
                check_label_id(label, field)
            except RequestError as error:
                raise failed_precondition("INDEX_UNUSABLE", f"index {index_id!r}: {error.message}", field) from error


def check_can_open(field: str) -> None:
    """Checks that the extra `index` is installed, which opens indexes.

    Raises:
        RequestError: FAILED_PRECONDITION, INDEX_EXTRA_MISSING.
    """
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        message = (
            "this server cannot open indexes, because pyarrow is not installed: pip install 'glimpse-fewshot[index]' "
            "and start it again"
        )
        raise failed_precondition("INDEX_EXTRA_MISSING", message, field) from error


def _without_path(error: Exception, path: Path) -> str:
    """Returns the error's text without the server's path, which callers must not learn."""
    return str(error).replace(f"{path}/", "").replace(str(path), "its folder")
