"""Calls of any rpc by its path, without a stub."""

from typing import Any

import grpc
from google.protobuf.message import Message

from glimpse.v1 import classification_service_pb2 as classification
from glimpse.v1 import collection_service_pb2 as collections
from glimpse.v1 import embedding_service_pb2 as embedding
from glimpse.v1 import review_service_pb2 as review
from glimpse.v1 import server_service_pb2 as serverinfo
from support.http_calls import HttpChannel, post
from support.server import ServerProcess, Stubs

_FILES = (embedding, collections, classification, review, serverinfo)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def call(address: str, method: str, request: Message | None, *metadata: tuple[str, str]) -> bytes:
    """Calls any rpc by its path, and returns the bytes of its first response. Raises grpc.RpcError."""
    descriptor = METHODS.get(method)
    streaming = descriptor is None or descriptor.client_streaming
    body = request.SerializeToString() if request else b""
    with grpc.insecure_channel(address) as channel:
        if streaming:
            answers: Any = channel.stream_stream(method, None, None)(iter([body]), timeout=30, metadata=metadata)
            return bytes(next(answers))
        return bytes(channel.unary_unary(method, None, None)(body, timeout=30, metadata=metadata))


def call_over(
    transport: str, server: ServerProcess, method: str, request: Message | None, *metadata: tuple[str, str]
) -> bytes:
    """Calls any rpc over `grpc` or `http`; returns the content of its first response. Raises grpc.RpcError."""
    if transport == "grpc":
        return call(server.address, method, request, *metadata)
    return post(server.url, method, request, metadata)


def stubs_over(transport: str, server: ServerProcess, stubs: Stubs) -> Stubs:
    """Returns `stubs`, which are a server's over gRPC, or others over `http`."""
    return stubs if transport == "grpc" else Stubs("", HttpChannel(server.url))


def bearer(key: str) -> tuple[str, str]:
    """Returns the metadata that authenticates a call with `key`."""
    return "authorization", f"Bearer {key}"


def collection_requests(collection: str) -> dict[str, Message]:
    """Returns one request for each rpc that names a collection, by the name of the rpc."""
    name, label, example = (f"collections/{collection}{rest}" for rest in ("", "/labels/l0", "/examples/e"))
    item, resolution = f"{name}/reviewItems/i", f"{name}/reviewResolutions/r"
    stream = classification.StreamClassifyRequest()
    stream.config.collections.append(name)
    requests: dict[str, Message] = {
        "Classify": classification.ClassifyRequest(collections=[name], inputs=[{"text": "a"}]),
        "StreamClassify": stream,
        "SearchExamples": classification.SearchExamplesRequest(collection=name, inputs=[{"text": "a"}]),
        "CreateCollection": collections.CreateCollectionRequest(collection_id=collection),
        "UpdateCollection": collections.UpdateCollectionRequest(collection={"name": name}),
        "CreateLabel": collections.CreateLabelRequest(parent=name, label_id="new"),
        "UpdateLabel": collections.UpdateLabelRequest(label={"name": label}),
        "ListLabels": collections.ListLabelsRequest(parent=name),
        "ListExamples": collections.ListExamplesRequest(parent=name),
        "EnrollExamples": collections.EnrollExamplesRequest(parent=name, examples=[{"label_id": "l0"}]),
        "AttachIndex": collections.AttachIndexRequest(collection=name, index="indexes/one"),
        "DetachIndex": collections.DetachIndexRequest(collection=name),
        "StartCompaction": collections.StartCompactionRequest(collection=name),
        "GetCompaction": collections.GetCompactionRequest(collection=name),
        "StartReembedding": collections.StartReembeddingRequest(collection=name, backbone="backbones/tiny"),
        "GetReembedding": collections.GetReembeddingRequest(collection=name),
        "SwitchBackbone": collections.SwitchBackboneRequest(collection=name, embedding_space="s"),
        "EndReembedding": collections.EndReembeddingRequest(collection=name),
        "GetCollection": collections.GetCollectionRequest(name=name),
        "DeleteCollection": collections.DeleteCollectionRequest(name=name),
        "GetCollectionReport": collections.GetCollectionReportRequest(name=name),
        "GetDecisionCounts": collections.GetDecisionCountsRequest(name=name),
        "GetLabel": collections.GetLabelRequest(name=label),
        "DeleteLabel": collections.DeleteLabelRequest(name=label),
        "GetExample": collections.GetExampleRequest(name=example),
        "DeleteExample": collections.DeleteExampleRequest(name=example),
        "BatchGetExampleContent": collections.BatchGetExampleContentRequest(parent=name, names=[example]),
        "ListReviewItems": review.ListReviewItemsRequest(parent=name),
        "ListReviewGroups": review.ListReviewGroupsRequest(parent=name),
        "ResolveReviewItems": review.ResolveReviewItemsRequest(parent=name, names=[item], skip=True),
        "UndoReview": review.UndoReviewRequest(name=resolution),
        "GetReviewContent": review.GetReviewContentRequest(parent=name, names=[item]),
        "GetReviewSummary": review.GetReviewSummaryRequest(name=name),
        "PurgeReview": review.PurgeReviewRequest(name=name),
        "MergeLabels": collections.MergeLabelsRequest(parent=name, label_ids=["l0"], into_label_id="l1"),
        "UpdateExamples": collections.UpdateExamplesRequest(parent=name, names=[example]),
        "DeleteExamples": collections.DeleteExamplesRequest(parent=name, names=[example]),
    }
    return requests
