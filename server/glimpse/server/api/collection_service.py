"""CollectionService: creates, reads, changes and deletes collections, labels, examples, indexes and re-embeddings.

Every call of the service is a method here. Each passes its request to the object for the kind of resource, which checks
the request, does the work, and returns the response.
"""

from glimpse.server.api.collections.collections import CollectionCalls
from glimpse.server.api.collections.example_changes import ExampleChangeCalls
from glimpse.server.api.collections.example_content import ExampleContentCalls
from glimpse.server.api.collections.examples import ExampleCalls
from glimpse.server.api.collections.indexes import IndexCalls
from glimpse.server.api.collections.label_merging import LabelMergingCalls
from glimpse.server.api.collections.labels import LabelCalls
from glimpse.server.api.collections.reembedding import ReembeddingCalls
from glimpse.server.api.collections.report import ReportCalls
from glimpse.server.api.handlers import Context, deadline_of, unary
from glimpse.server.runtime import Runtime
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import collection_service_pb2_grpc


class CollectionService(collection_service_pb2_grpc.CollectionServiceServicer):
    """Answers the calls of CollectionService with one object per kind of resource."""

    #: Every call sees all writes committed when it began, by any server of the ledger; see handlers.unary.
    refreshes = True

    def __init__(self, runtime: Runtime) -> None:
        """Builds the objects that answer, from the parts of `runtime`."""
        self.runtime = runtime
        self.settings = runtime.settings
        self._collections = CollectionCalls(runtime)
        self._labels = LabelCalls(runtime)
        self._merging = LabelMergingCalls(runtime)
        self._examples = ExampleCalls(runtime)
        self._example_changes = ExampleChangeCalls(runtime)
        self._example_content = ExampleContentCalls(runtime)
        self._report = ReportCalls(runtime)
        self._indexes = IndexCalls(runtime)
        self._reembedding = ReembeddingCalls(runtime)

    @unary
    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        """Checks id, policies and backbone, and creates an empty collection."""
        return await self._collections.create(request)

    @unary
    async def GetCollection(self, request: pb.GetCollectionRequest, context: Context) -> pb.GetCollectionResponse:
        """Returns one collection with its counts."""
        return self._collections.get(request)

    @unary
    async def ListCollections(self, request: pb.ListCollectionsRequest, context: Context) -> pb.ListCollectionsResponse:
        """Returns a page of the collections that the caller may read."""
        return self._collections.list_page(request)

    @unary
    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, context: Context
    ) -> pb.UpdateCollectionResponse:
        """Checks the update mask and the new values, and changes the collection's record."""
        return await self._collections.update(request)

    @unary
    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        """Deletes a collection and, with `force`, everything in it."""
        return await self._collections.delete(request)

    @unary
    async def CreateLabel(self, request: pb.CreateLabelRequest, context: Context) -> pb.CreateLabelResponse:
        """Checks id and prompts, embeds the prompts, and creates a label."""
        return await self._labels.create(request, deadline_of(context))

    @unary
    async def GetLabel(self, request: pb.GetLabelRequest, context: Context) -> pb.GetLabelResponse:
        """Returns one label with its count of examples."""
        return self._labels.get(request)

    @unary
    async def ListLabels(self, request: pb.ListLabelsRequest, context: Context) -> pb.ListLabelsResponse:
        """Returns a page of a collection's labels."""
        return self._labels.list_page(request)

    @unary
    async def UpdateLabel(self, request: pb.UpdateLabelRequest, context: Context) -> pb.UpdateLabelResponse:
        """Checks the update mask, embeds new prompts, and changes the label's record."""
        return await self._labels.update(request, deadline_of(context))

    @unary
    async def DeleteLabel(self, request: pb.DeleteLabelRequest, context: Context) -> pb.DeleteLabelResponse:
        """Deletes a label and, with `force`, its examples."""
        return await self._labels.delete(request)

    @unary
    async def MergeLabels(self, request: pb.MergeLabelsRequest, context: Context) -> pb.MergeLabelsResponse:
        """Moves the examples of labels to another label, and deletes the labels."""
        return await self._merging.merge(request)

    @unary
    async def EnrollExamples(self, request: pb.EnrollExamplesRequest, context: Context) -> pb.EnrollExamplesResponse:
        """Embeds a list of examples, writes them in one transaction, and returns a result for each."""
        return await self._examples.enroll(request, deadline_of(context))

    @unary
    async def GetExample(self, request: pb.GetExampleRequest, context: Context) -> pb.GetExampleResponse:
        """Reads one example from the ledger or from the attached index."""
        return await self._examples.get(request)

    @unary
    async def BatchGetExampleContent(
        self, request: pb.BatchGetExampleContentRequest, context: Context
    ) -> pb.BatchGetExampleContentResponse:
        """Returns the kept originals of examples, or thumbnails of them."""
        return await self._example_content.get(request)

    @unary
    async def ListExamples(self, request: pb.ListExamplesRequest, context: Context) -> pb.ListExamplesResponse:
        """Reads a page of a collection's examples: those enrolled, then the rows of the attached index."""
        return await self._examples.list_page(request)

    @unary
    async def DeleteExample(self, request: pb.DeleteExampleRequest, context: Context) -> pb.DeleteExampleResponse:
        """Deletes one example, or marks a row of the attached index as deleted."""
        return await self._examples.delete(request)

    @unary
    async def UpdateExamples(self, request: pb.UpdateExamplesRequest, context: Context) -> pb.UpdateExamplesResponse:
        """Checks the update mask and the new values, and changes several examples in one change."""
        return await self._example_changes.update(request)

    @unary
    async def DeleteExamples(self, request: pb.DeleteExamplesRequest, context: Context) -> pb.DeleteExamplesResponse:
        """Deletes several examples in one change."""
        return await self._example_changes.delete(request)

    @unary
    async def GetCollectionReport(
        self, request: pb.GetCollectionReportRequest, context: Context
    ) -> pb.GetCollectionReportResponse:
        """Waits until the collection is fitted to its examples, and returns its report."""
        return await self._report.get(request, deadline_of(context))

    @unary
    async def GetDecisionCounts(
        self, request: pb.GetDecisionCountsRequest, context: Context
    ) -> pb.GetDecisionCountsResponse:
        """Reads from the ledger how often a collection made each decision, day by day."""
        return await self._report.decision_counts(request)

    @unary
    async def AttachIndex(self, request: pb.AttachIndexRequest, context: Context) -> pb.AttachIndexResponse:
        """Opens and checks an index, and makes its rows examples of a collection."""
        return await self._indexes.attach(request)

    @unary
    async def DetachIndex(self, request: pb.DetachIndexRequest, context: Context) -> pb.DetachIndexResponse:
        """Removes the index of a collection with its rows."""
        return await self._indexes.detach(request)

    @unary
    async def StartCompaction(self, request: pb.StartCompactionRequest, context: Context) -> pb.StartCompactionResponse:
        """Starts a compaction in the background, or joins the running one."""
        return self._indexes.start_compaction(request)

    @unary
    async def GetCompaction(self, request: pb.GetCompactionRequest, context: Context) -> pb.GetCompactionResponse:
        """Returns the state of the collection's last compaction on this server."""
        return self._indexes.get_compaction(request)

    @unary
    async def StartReembedding(
        self, request: pb.StartReembeddingRequest, context: Context
    ) -> pb.StartReembeddingResponse:
        """Starts a re-embedding, for which the background worker embeds the collection with another backbone."""
        return await self._reembedding.start(request)

    @unary
    async def GetReembedding(self, request: pb.GetReembeddingRequest, context: Context) -> pb.GetReembeddingResponse:
        """Returns the progress of a re-embedding and, with `measure`, the reports with both backbones."""
        return await self._reembedding.get(request, deadline_of(context))

    @unary
    async def ListReembeddings(
        self, request: pb.ListReembeddingsRequest, context: Context
    ) -> pb.ListReembeddingsResponse:
        """Returns a page of the re-embeddings that the caller may read, with their progress."""
        return await self._reembedding.list_page(request)

    @unary
    async def SwitchBackbone(self, request: pb.SwitchBackboneRequest, context: Context) -> pb.SwitchBackboneResponse:
        """Lets a collection answer by the vectors of the other backbone of its re-embedding."""
        return await self._reembedding.switch(request)

    @unary
    async def EndReembedding(self, request: pb.EndReembeddingRequest, context: Context) -> pb.EndReembeddingResponse:
        """Ends a re-embedding, and drops the vectors of the backbone that does not answer."""
        return await self._reembedding.end(request)
