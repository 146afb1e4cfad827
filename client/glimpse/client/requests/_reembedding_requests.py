"""From arguments to what is sent and how the answer is read: a function a call on migrations."""

from glimpse.client.requests._names import CollectionRef, backbone_name, collection_name
from glimpse.client.results import _parse_resources as read
from glimpse.client.results._reembedding import Reembedding, ReembeddingFailure, ReembeddingSide, SwitchResult
from glimpse.client.results._resources import Collection
from glimpse.client.transport._steps import Unary
from glimpse.v1 import collection_service_pb2 as pb


def start_reembedding(collection: CollectionRef, backbone: str) -> Unary[Reembedding]:
    """StartReembedding."""
    request = pb.StartReembeddingRequest(collection=collection_name(collection), backbone=backbone_name(backbone))
    return Unary("collections.StartReembedding", request, lambda r: _migration(r.reembedding))


def get_reembedding(collection: CollectionRef, measure: bool) -> Unary[Reembedding]:
    """GetReembedding."""
    request = pb.GetReembeddingRequest(collection=collection_name(collection), measure=measure)
    return Unary("collections.GetReembedding", request, lambda r: _migration(r.reembedding))


def switch_backbone(collection: CollectionRef, embedding_space: str, force: bool) -> Unary[SwitchResult]:
    """SwitchBackbone."""
    request = pb.SwitchBackboneRequest(
        collection=collection_name(collection), embedding_space=embedding_space, force=force
    )
    return Unary("collections.SwitchBackbone", request, _switched)


def end_reembedding(collection: CollectionRef) -> Unary[Collection]:
    """EndReembedding."""
    request = pb.EndReembeddingRequest(collection=collection_name(collection))
    return Unary("collections.EndReembedding", request, lambda r: read.collection_of(r.collection))


def _migration(message: pb.Reembedding) -> Reembedding:
    return Reembedding(
        collection=message.collection,
        current=_side(message.current),
        shadow=_side(message.shadow),
        switched=message.switched,
        example_count=message.example_count,
        embedded_count=message.embedded_count,
        left_count=message.left_count,
        failed_count=message.failed_count,
        failures=tuple(ReembeddingFailure(one.example, one.label_id, one.problem) for one in message.failures),
        labels_left_count=message.labels_left_count,
        labels_failed_count=message.labels_failed_count,
        set_aside_count=message.set_aside_count,
        start_time=read.time_of(message.start_time),
    )


def _side(message: pb.ReembeddingSide) -> ReembeddingSide:
    figures = read.collection_report(message.figures) if message.HasField("figures") else None
    return ReembeddingSide(message.backbone, message.embedding_space, message.loaded, figures)


def _switched(message: pb.SwitchBackboneResponse) -> SwitchResult:
    former = message.former_policy
    return SwitchResult(
        collection=read.collection_of(message.collection),
        former_match_threshold=read.optional(former, "match_threshold"),
        former_match_margin=read.optional(former, "match_margin"),
        former_min_space_cosine=read.optional(message.former_embedding_space_policy, "min_space_cosine"),
        set_aside_count=message.set_aside_count,
    )
