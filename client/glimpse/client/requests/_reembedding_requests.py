"""Builds the requests for re-embeddings, one function for each method of the service."""

from glimpse.client.requests._names import CollectionRef, backbone_name, collection_name
from glimpse.client.results import _parse_resources as parse
from glimpse.client.results._reembedding import Reembedding, ReembeddingFailure, ReembeddingSide, SwitchResult
from glimpse.client.results._resources import Collection
from glimpse.client.transport._steps import Listing, Unary
from glimpse.v1 import collection_service_pb2 as pb


def start_reembedding(collection: CollectionRef, backbone: str) -> Unary[Reembedding]:
    """Builds the request of StartReembedding."""
    request = pb.StartReembeddingRequest(collection=collection_name(collection), backbone=backbone_name(backbone))
    return Unary("collections.StartReembedding", request, lambda r: _reembedding(r.reembedding))


def get_reembedding(collection: CollectionRef, measure: bool) -> Unary[Reembedding]:
    """Builds the request of GetReembedding."""
    request = pb.GetReembeddingRequest(collection=collection_name(collection), measure=measure)
    return Unary("collections.GetReembedding", request, lambda r: _reembedding(r.reembedding))


def list_reembeddings(page_size: int) -> Listing[Reembedding]:
    """Builds the requests of ListReembeddings."""
    return Listing(
        "collections.ListReembeddings",
        lambda token: pb.ListReembeddingsRequest(page_size=page_size, page_token=token),
        lambda page: [_reembedding(message) for message in page.reembeddings],
    )


def switch_backbone(collection: CollectionRef, embedding_space: str, force: bool) -> Unary[SwitchResult]:
    """Builds the request of SwitchBackbone."""
    request = pb.SwitchBackboneRequest(
        collection=collection_name(collection), embedding_space=embedding_space, force=force
    )
    return Unary("collections.SwitchBackbone", request, _switch_result)


def end_reembedding(collection: CollectionRef) -> Unary[Collection]:
    """Builds the request of EndReembedding."""
    request = pb.EndReembeddingRequest(collection=collection_name(collection))
    return Unary("collections.EndReembedding", request, lambda r: parse.collection(r.collection))


def _reembedding(message: pb.Reembedding) -> Reembedding:
    return Reembedding(
        collection=message.collection,
        current=_side(message.current),
        shadow=_side(message.shadow),
        switched=message.switched,
        example_count=message.example_count,
        embedded_count=message.embedded_count,
        left_count=message.left_count,
        failed_count=message.failed_count,
        failures=tuple(
            ReembeddingFailure(failure.example, failure.label_id, failure.problem) for failure in message.failures
        ),
        labels_left_count=message.labels_left_count,
        labels_failed_count=message.labels_failed_count,
        set_aside_count=message.set_aside_count,
        start_time=parse.time_of(message.start_time),
    )


def _side(message: pb.ReembeddingSide) -> ReembeddingSide:
    figures = parse.collection_report(message.figures) if message.HasField("figures") else None
    return ReembeddingSide(message.backbone, message.embedding_space, message.loaded, figures)


def _switch_result(message: pb.SwitchBackboneResponse) -> SwitchResult:
    return SwitchResult(
        collection=parse.collection(message.collection),
        former_policy=parse.decision_policy(message.former_policy),
        former_embedding_space_policy=parse.embedding_space_policy(message.former_embedding_space_policy),
        set_aside_count=message.set_aside_count,
    )
