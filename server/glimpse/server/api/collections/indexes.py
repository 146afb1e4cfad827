"""CollectionService's calls on the index under a collection."""

from collections.abc import Callable
from functools import partial

from glimpse.ledger import LabelRecord, Writer
from glimpse.server import resource_names
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.handlers import Context, unary
from glimpse.server.collections.attached_index import Attachment
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import collection_message, timestamp
from glimpse.server.errors import exhausted, failed_precondition, item_status
from glimpse.server.maintenance.compaction import Compaction
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import collection_service_pb2 as pb


class _ThereAlready(Exception):
    """The very index is attached: nothing is to be done."""


class IndexCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def AttachIndex(self, request: pb.AttachIndexRequest, context: Context) -> pb.AttachIndexResponse:
        """An index under a collection."""
        view = self.view(request.collection, "collection")
        [index_id] = resource_names.parse_name(request.index, "indexes/*", "index")
        opened, sums = await run_in_background(partial(self.runtime.indexes.open_new, view.record, index_id, "index"))
        labels = [LabelRecord(label) for label in opened.labels]

        def plan() -> Callable[[Writer], tuple[list[LabelRecord], int]]:
            self.catalog.check_current(view, "collection")
            if (there := view.examples.attachment) and there.same(opened):
                raise _ThereAlready
            _check_none(view)
            if view.shadow:
                message = f"collection {view.record.id!r} is changing its backbone; end that re-embedding first"
                raise failed_precondition("REEMBEDDING_EXISTS", message, "collection")
            self.runtime.indexes.check_there(index_id, "index")
            _check_spelling(view, opened)
            if len(view.labels.keys() | set(opened.labels)) > self.settings.max_labels:
                raise exhausted("TOO_MANY_LABELS", f"a collection takes {self.settings.max_labels}").at("index")
            return lambda writer: writer.attach(view.record.id, opened.record, labels)

        def apply(done: tuple[list[LabelRecord], int]) -> int:
            for label in done[0]:
                view.put_label(label)
            view.attach(opened, sums)
            return view.moved_to(done[1])

        try:
            _, revision = await self.catalog.write(plan, apply)
        except _ThereAlready:
            revision = view.record.revision
        return pb.AttachIndexResponse(collection=collection_message(view), revision=revision)

    @unary
    async def DetachIndex(self, request: pb.DetachIndexRequest, context: Context) -> pb.DetachIndexResponse:
        """A collection without its index."""
        view = self.view(request.collection, "collection", usable=False)

        def plan() -> Callable[[Writer], int]:
            self.catalog.check_current(view, "collection")
            if view.problem is None:
                _attachment(view)
            return lambda writer: writer.detach(view.record.id)

        def apply(revision: int) -> int:
            view.detach()
            return view.moved_to(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DetachIndexResponse(collection=collection_message(view), revision=revision)

    @unary
    async def StartCompaction(self, request: pb.StartCompactionRequest, context: Context) -> pb.StartCompactionResponse:
        """Checks that the collection can be compacted, and starts its compaction or joins the running one."""
        view = self.view(request.collection, "collection")
        _attachment(view)
        if self.catalog.shared and self.settings.indexes is None:
            # What was enrolled would leave the ledger for a folder that no other server has.
            message = "other servers may stand on this ledger: set `indexes` to one folder that all of them have"
            raise failed_precondition("INDEXES_NOT_SHARED", message, "collection")
        return pb.StartCompactionResponse(compaction=_compaction_message(self.runtime.compactor.start(view)))

    @unary
    async def GetCompaction(self, request: pb.GetCompactionRequest, context: Context) -> pb.GetCompactionResponse:
        """Returns the last compaction that this server started for the collection."""
        view = self.view(request.collection, "collection", usable=False)
        return pb.GetCompactionResponse(compaction=_compaction_message(self.runtime.compactor.last(view)))


def _compaction_message(compaction: Compaction) -> pb.Compaction:
    """Converts the state of a compaction into the contract's message."""
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


def _check_spelling(view: CollectionView, opened: Attachment) -> None:
    """Raises RequestError where a label of an index is another spelling of one that is there, or in the index."""
    mine: dict[str, str] = {}
    for label in opened.labels:
        found = view.find_label(label) or mine.setdefault(resource_names.normal(label), label)
        if found != label:
            message = (
                f"label {label!r} of the index is another spelling of label {found!r} (Unicode form, or spaces at its "
                "ends); build the index again with one spelling"
            )
            raise failed_precondition("INDEX_UNUSABLE", message, "index")


def _attachment(view: CollectionView) -> Attachment:
    """A collection's index. Raises RequestError."""
    if view.examples.attachment is None:
        message = f"collection {view.record.id!r} has no index; attach one first"
        raise failed_precondition("NO_INDEX", message, "collection")
    return view.examples.attachment


def _check_none(view: CollectionView) -> None:
    if (there := view.examples.attachment) is not None:
        message = f"collection {view.record.id!r} stands on index {there.record.index_id!r}; detach that first"
        raise failed_precondition("INDEX_ATTACHED", message, "collection")
