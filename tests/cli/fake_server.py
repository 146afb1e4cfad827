"""A gRPC server with responses set by the test, for results that need many examples on a real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from glimpse.v1 import classification_service_pb2 as classification
from glimpse.v1 import classification_service_pb2_grpc, collection_service_pb2_grpc
from glimpse.v1 import collection_service_pb2 as pb


class FakeServer(
    collection_service_pb2_grpc.CollectionServiceServicer, classification_service_pb2_grpc.ClassificationServiceServicer
):
    """A server with one collection. It stores the roles of labels; the test sets the other responses."""

    def __init__(self) -> None:
        self.address = ""
        self.roles: dict[str, int] = {}
        self.enrolled: list[Any] = []  # requests of EnrollExamples
        self.classified: list[Any] = []
        self.report_requests: list[Any] = []
        self.result = pb.EnrollResult()  # the result of every example
        self.accuracies: list[dict[str, float]] = []  # accuracies of the next enrolments
        self.classification = classification.Classification()  # the result of every input
        self.report = pb.GetCollectionReportResponse()
        self.files: dict[str, str] = {}  # the file of each example, by full name; no other examples exist
        self.asked_for: list[str] = []  # requested examples
        self.compaction = pb.Compaction(state=pb.COMPACTION_STATE_RUNNING)
        # The compaction that a poll returns, if it has changed.
        self.after_polls: pb.Compaction | None = None
        # Polls of the compaction, and how many of the first reach another server.
        self.polls = self.misses = 0
        self.unlabeled = 0  # vectors without a label in an attached index

    def GetCollection(self, request: Any, context: Any) -> Any:
        return pb.GetCollectionResponse(collection=pb.Collection(name=request.name))

    def UpdateCollection(self, request: Any, context: Any) -> Any:
        return pb.UpdateCollectionResponse(collection=request.collection)

    def CreateCollection(self, request: Any, context: Any) -> Any:
        return pb.CreateCollectionResponse(collection=request.collection)

    def GetLabel(self, request: Any, context: Any) -> Any:
        name = request.name.rpartition("/")[2]
        if name not in self.roles:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no label {name}")
        return pb.GetLabelResponse(label=self._label(name))

    def CreateLabel(self, request: Any, context: Any) -> Any:
        self.roles[request.label_id] = request.label.role
        return pb.CreateLabelResponse(label=self._label(request.label_id))

    def EnrollExamples(self, request: Any, context: Any) -> Any:
        self.enrolled.append(request)
        accuracies: Any = self.accuracies.pop(0) if self.accuracies else {}
        results = [self._enrolled(f"{len(self.enrolled)}-{number}") for number in range(len(request.examples))]
        return pb.EnrollExamplesResponse(results=results, **accuracies)

    def _enrolled(self, example_id: str) -> pb.EnrollResult:
        result = pb.EnrollResult()
        result.CopyFrom(self.result)
        result.example.name = result.example.name or f"collections/birds/examples/{example_id}"
        return result

    def GetExample(self, request: Any, context: Any) -> Any:
        self.asked_for.append(request.name)
        if request.name not in self.files:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no example {request.name}")
        metadata = {"file": self.files[request.name]} if self.files[request.name] else {}
        return pb.GetExampleResponse(example=pb.Example(name=request.name, metadata=metadata))

    def AttachIndex(self, request: Any, context: Any) -> Any:
        index = pb.AttachedIndex(name=request.index, vector_count=1_200, unlabeled_count=self.unlabeled)
        return pb.AttachIndexResponse(collection=pb.Collection(name=request.collection, index=index))

    def StartCompaction(self, request: Any, context: Any) -> Any:
        return pb.StartCompactionResponse(compaction=self.compaction)

    def GetCompaction(self, request: Any, context: Any) -> Any:
        self.polls += 1
        if self.polls <= self.misses:
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ErrorInfo(reason="COMPACTION_NOT_FOUND", domain="glimpse"))
            status = status_pb2.Status(code=5, message="not compacted here", details=[detail])
            context.abort_with_status(rpc_status.to_status(status))
        return pb.GetCompactionResponse(compaction=self.after_polls or self.compaction)

    def GetCollectionReport(self, request: Any, context: Any) -> Any:
        self.report_requests.append(request)
        return self.report

    def Classify(self, request: Any, context: Any) -> Any:
        self.classified.append(request)
        result = classification.ClassifyResult(classifications=[self.classification])
        return classification.ClassifyResponse(results=[result] * len(request.inputs))

    def _label(self, name: str) -> pb.Label:
        role: Any = self.roles[name]
        return pb.Label(name=f"collections/birds/labels/{name}", role=role)


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Runs a fake server and yields it."""
    fake = FakeServer()  # type: ignore[abstract]  # the tests call only the methods defined here
    server = grpc.server(ThreadPoolExecutor(2))
    collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(fake, server)
    classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield fake
    finally:
        server.stop(None).wait()
