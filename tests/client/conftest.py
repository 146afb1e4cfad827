"""A server with scripted faults: real gRPC on a real port, in its own thread."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from glimpse.client import Client
from glimpse.v1 import classification_service_pb2 as classification_pb
from glimpse.v1 import (
    classification_service_pb2_grpc,
    collection_service_pb2_grpc,
    embedding_service_pb2_grpc,
    types_pb2,
)
from glimpse.v1 import collection_service_pb2 as collection_pb
from glimpse.v1 import embedding_service_pb2 as embedding_pb

SPACE = "sha256:toy"
Fault = tuple[grpc.StatusCode, str, float | None]


def status_of(
    code: grpc.StatusCode, reason: str, field: str = "", retry_delay: float | None = None, queue: str = ""
) -> grpc.Status:
    """Returns a status with google.rpc details, built with the packages that the client does not use."""
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=reason, domain="glimpse")]
    if queue:
        details[0].metadata["queue"] = queue
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description="no")
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if retry_delay is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(retry_delay * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message=f"refused: {reason}")
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return rpc_status.to_status(status)


class Script:
    """The faults and answers of the server, and the requests that it received."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []  # The next calls end with these statuses.
        self.busy: dict[str, int] = {}  # By the id of an item: how often its result is "busy".
        self.break_after: list[int] = []  # The next streams break after these numbers of results.
        self.delay = 0.0  # Seconds before each answer.
        self.requests: list[Any] = []
        self.configs: list[Any] = []  # The first messages of streams.
        self.answers: dict[str, Any] = {}  # By method: the response to every request.
        self.streamed: list[str] = []
        self.cancelled = threading.Event()

    async def fail(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await asyncio.sleep(self.delay)
        if self.faults:
            code, reason, retry_delay = self.faults.pop(0)
            status = status_of(code, reason, "inputs[0].text", retry_delay)
            await context.abort(status.code, status.details, status.trailing_metadata)

    def item_status(self, item: types_pb2.Input, field: str) -> types_pb2.ItemStatus | None:
        if self.busy.get(item.id):
            self.busy[item.id] -= 1
            return types_pb2.ItemStatus(code=8, reason="QUEUE_FULL", message="busy", retry_delay_ms=20)
        if item.WhichOneof("content") is None or item.text == "bad":
            return types_pb2.ItemStatus(code=3, reason="INPUT_EMPTY", field=field, message="no content")
        return None


# This client does not know the second value.
_MODALITIES: Any = [1, 99]


class _Embedding(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def Embed(self, request: Any, context: Any) -> Any:
        self.script.requests.append(request)
        await self.script.fail(context)
        return embedding_pb.EmbedResponse(
            results=[self._result(item, f"inputs[{i}]") for i, item in enumerate(request.inputs)]
        )

    async def ListBackbones(self, request: Any, context: Any) -> Any:
        first = int(request.page_token or 0)
        backbones = [
            embedding_pb.Backbone(name=f"backbones/b{i}", modalities=_MODALITIES) for i in range(first, first + 2)
        ]
        token = str(first + 2) if first < 4 else ""
        return embedding_pb.ListBackbonesResponse(backbones=backbones, next_page_token=token)

    async def GetBackbone(self, request: Any, context: Any) -> Any:
        await self.script.fail(context)
        return embedding_pb.GetBackboneResponse(backbone=embedding_pb.Backbone(name=request.name))

    async def StreamEmbed(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        async for request in request_iterator:
            if request.WhichOneof("message") == "input":
                yield embedding_pb.StreamEmbedResponse(result=self._result(request.input, "input"))

    def _result(self, item: types_pb2.Input, field: str) -> embedding_pb.EmbedResult:
        status = self.script.item_status(item, field)
        vector = types_pb2.Vector(data=np.array([len(item.text), 1], "<f4").tobytes(), embedding_space=SPACE)
        return embedding_pb.EmbedResult(id=item.id, status=status, vector=None if status else vector)


class _Collections(collection_service_pb2_grpc.CollectionServiceServicer):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def EnrollExamples(self, request: Any, context: Any) -> Any:
        self.script.requests.append(request)
        await self.script.fail(context)
        if "EnrollExamples" in self.script.answers:
            return self.script.answers["EnrollExamples"]
        results = []
        for i, item in enumerate(request.examples):
            status = self.script.item_status(item.input, f"examples[{i}]")
            example = collection_pb.Example(name=f"{request.parent}/examples/{item.input.id}", label_id=item.label_id)
            results.append(collection_pb.EnrollResult(id=item.input.id, status=status, example=example))
        number = len(self.script.requests)
        accuracies = {"accuracy_before": number / 100} if number > 1 else {}
        if request.measure_accuracy:
            accuracies["accuracy_after"] = (number + 1) / 100
        return collection_pb.EnrollExamplesResponse(results=results, revision=number, **accuracies)

    async def GetCollection(self, request: Any, context: Any) -> Any:
        return self.script.answers["GetCollection"]

    async def GetCollectionReport(self, request: Any, context: Any) -> Any:
        self.script.requests.append(request)
        await self.script.fail(context)
        return self.script.answers["GetCollectionReport"]

    async def CreateCollection(self, request: Any, context: Any) -> Any:
        self.script.requests.append(request)
        return collection_pb.CreateCollectionResponse(collection=request.collection, revision=1)

    async def CreateLabel(self, request: Any, context: Any) -> Any:
        self.script.requests.append(request)
        return collection_pb.CreateLabelResponse(label=request.label, revision=2)

    async def UpdateCollection(self, request: Any, context: Any) -> Any:
        self.script.requests.append(request)
        return collection_pb.UpdateCollectionResponse(collection=request.collection, revision=3)


class _Classification(classification_service_pb2_grpc.ClassificationServiceServicer):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def Classify(self, request: Any, context: Any) -> Any:
        self.script.requests.append(request)
        await self.script.fail(context)
        if "Classify" in self.script.answers:
            return self.script.answers["Classify"]
        return classification_pb.ClassifyResponse(results=[self._result(item, "inputs[0]") for item in request.inputs])

    async def StreamClassify(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        limit = self.script.break_after.pop(0) if self.script.break_after else None
        answered = 0
        try:
            await self.script.fail(context)
            async for request in request_iterator:
                if request.WhichOneof("message") == "config":
                    self.script.configs.append(request.config)
                    continue
                if answered == limit:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
                self.script.streamed.append(request.input.text)
                await asyncio.sleep(self.script.delay)
                answered += 1
                yield classification_pb.StreamClassifyResponse(result=self._result(request.input, "input"))
        except asyncio.CancelledError:
            self.script.cancelled.set()
            raise

    def _result(self, item: types_pb2.Input, field: str) -> classification_pb.ClassifyResult:
        status = self.script.item_status(item, field)
        answer = classification_pb.Classification(label_id=item.text, decision=classification_pb.DECISION_MATCH)
        return classification_pb.ClassifyResult(id=item.id, status=status, classifications=[] if status else [answer])


class _Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    async def Check(self, request: Any, context: Any) -> Any:
        statuses = {"": 1, "glimpse.v1.EmbeddingService": 2}
        return health_pb2.HealthCheckResponse(status=statuses.get(request.service, 3))


def _serve(script: Script, listen: str, ready: Callable[[str], None], stop: threading.Event) -> None:
    async def run() -> None:
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", 32 << 20)])
        embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(_Embedding(script), server)
        collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(_Collections(script), server)  # type: ignore[abstract]
        classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(_Classification(script), server)  # type: ignore[abstract]
        health_pb2_grpc.add_HealthServicer_to_server(_Health(), server)
        port = server.add_insecure_port(listen)
        await server.start()
        ready(f"{listen.partition(':')[0]}:{port}")
        await asyncio.to_thread(stop.wait)
        await server.stop(None)

    asyncio.run(run())


@contextmanager
def serving(script: Script, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """Runs a scripted server and yields its address."""
    addresses: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(script, listen, addresses.append, stop))
    thread.start()
    try:
        while not addresses:
            assert thread.is_alive()
            time.sleep(0.005)
        yield addresses[0]
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def address(script: Script) -> Iterator[str]:
    """The address of a scripted server."""
    with serving(script) as listening:
        yield listening


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address, timeout=10) as client:
        yield client


def texts(count: int) -> Sequence[str]:
    return [f"t{i}" for i in range(count)]
