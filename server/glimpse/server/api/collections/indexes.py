"""CollectionService's calls on the index that is attached to a collection."""

from collections.abc import Callable
from functools import partial

from glimpse.ledger import LabelRecord, Writer
from glimpse.server import resource_names
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.composed_labels import check_takes_examples
from glimpse.server.collections.messages import collection_message, timestamp
from glimpse.server.errors import exhausted, failed_precondition, item_status
from glimpse.server.maintenance.compaction import Compaction
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import collection_service_pb2 as pb


class _AlreadyAttachedError(Exception):
    """Raised if the same index is attached already, so that there is nothing to write."""


class IndexCalls(ResourceCalls):
    """Attaches, detaches and compacts indexes. Every method raises RequestError."""

    async def attach(self, request: pb.AttachIndexRequest) -> pb.AttachIndexResponse:
        """Opens and verifies an index, and attaches it to the collection with its labels.

        The same index again changes nothing.
        """
        view = self.view(request.collection, "collection")
        [index_id] = resource_names.parse_name(request.index, "indexes/*", "index")
        opened, sums = await run_in_background(
            partial(self.runtime.index_directory.open_new, view.record, index_id, "index")
        )
        labels = [LabelRecord(label) for label in opened.labels]

        def plan() -> Callable[[Writer], tuple[list[LabelRecord], int]]:
            self.catalog.check_current(view, "collection")
            if (attached := view.examples.attached_index) and attached.is_same_index(opened):
                raise _AlreadyAttachedError
            self._check_can_attach(view, opened)
            return lambda writer: writer.attach(view.record.id, opened.record, labels)

        def apply(written: tuple[list[LabelRecord], int]) -> int:
            for label in written[0]:
                view.put_label(label)
            view.attach(opened, sums)
            return view.set_revision(written[1])

        try:
            _, revision = await self.catalog.write(plan, apply)
        except _AlreadyAttachedError:
            revision = view.record.revision
        return pb.AttachIndexResponse(collection=collection_message(view), revision=revision)

    async def detach(self, request: pb.DetachIndexRequest) -> pb.DetachIndexResponse:
        """Removes the index of a collection, also one that is damaged or missing."""
        view = self.view(request.collection, "collection", usable=False)

        def plan() -> Callable[[Writer], int]:
            self.catalog.check_current(view, "collection")
            if view.problem is None:
                _check_attached(view)
            return lambda writer: writer.detach(view.record.id)

        def apply(revision: int) -> int:
            view.detach()
            return view.set_revision(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DetachIndexResponse(collection=collection_message(view), revision=revision)

    def start_compaction(self, request: pb.StartCompactionRequest) -> pb.StartCompactionResponse:
        """Checks that the collection can be compacted, and has the Compactor start or join a compaction."""
        view = self.view(request.collection, "collection")
        _check_attached(view)
        if self.catalog.shared and self.settings.indexes is None:
            # Enrolled examples would move from the ledger into a folder that no other server can read.
            message = "several servers may share this ledger; set `indexes` to one folder that all of them can read"
            raise failed_precondition("INDEXES_NOT_SHARED", message, "collection")
        compaction = self.runtime.compactor.start(view)
        return pb.StartCompactionResponse(compaction=_compaction_message(compaction))

    def get_compaction(self, request: pb.GetCompactionRequest) -> pb.GetCompactionResponse:
        """Returns the last compaction that this server started for the collection."""
        view = self.view(request.collection, "collection", usable=False)
        return pb.GetCompactionResponse(compaction=_compaction_message(self.runtime.compactor.last(view)))

    def _check_can_attach(self, view: CollectionView, opened: AttachedIndex) -> None:
        """Checks that a collection has no index and no re-embedding, and that the labels fit. Raises RequestError."""
        if (attached := view.examples.attached_index) is not None:
            message = f"collection {view.record.id!r} has index {attached.record.index_id!r}; detach that first"
            raise failed_precondition("INDEX_ATTACHED", message, "collection")
        if view.reembedding:
            message = f"collection {view.record.id!r} has a re-embedding; end it first"
            raise failed_precondition("REEMBEDDING_EXISTS", message, "collection")
        self.runtime.index_directory.check_exists(opened.record.index_id, "index")
        _check_spelling(view, opened)
        for label in opened.labels:
            check_takes_examples(view.labels, label, "index")
        count, limit = len(view.labels.keys() | set(opened.labels)), self.settings.max_labels
        if count > limit:
            message = f"collection {view.record.id!r} would have {count} labels with this index; the limit is {limit}"
            raise exhausted("TOO_MANY_LABELS", message).at("index")


def _compaction_message(compaction: Compaction) -> pb.Compaction:
    if not compaction.end_time:
        state = pb.COMPACTION_STATE_RUNNING
    else:
        state = pb.COMPACTION_STATE_FAILED if compaction.failure else pb.COMPACTION_STATE_DONE
    return pb.Compaction(
        collection=resource_names.collection_name(compaction.collection_id),
        state=state,
        revision=compaction.revision,
        failure=item_status(compaction.failure) if compaction.failure else None,
        start_time=timestamp(compaction.start_time),
        end_time=timestamp(compaction.end_time) if compaction.end_time else None,
    )


def _check_spelling(view: CollectionView, opened: AttachedIndex) -> None:
    """Checks that no label of an index is another spelling of an existing label. Raises RequestError."""
    spellings: dict[str, str] = {}
    for label in opened.labels:
        existing = view.find_label(label) or spellings.setdefault(resource_names.normal(label), label)
        if existing != label:
            message = (
                f"label {label!r} of the index is another spelling of label {existing!r} (Unicode form, or spaces at "
                "its ends); build the index again with one spelling"
            )
            raise failed_precondition("INDEX_UNUSABLE", message, "index")


def _check_attached(view: CollectionView) -> None:
    """Checks that a collection has an index. Raises RequestError."""
    if view.examples.attached_index is None:
        message = f"collection {view.record.id!r} has no index; attach one first"
        raise failed_precondition("NO_INDEX", message, "collection")
