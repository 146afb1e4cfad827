"""Builds the requests for collections and their indexes, one function for each method of the service."""

from datetime import date

from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.client.requests._enums import Head, LabelMode
from glimpse.client.requests._names import CollectionRef, Names, backbone_name, collection_name, index_name, names
from glimpse.client.requests._policies import (
    DecisionPolicy,
    EmbeddingSpacePolicy,
    ReviewPolicy,
    check_reset,
    policy_path,
    set_fields,
)
from glimpse.client.results import _parse_resources as parse
from glimpse.client.results._collection_report import CollectionReport
from glimpse.client.results._compaction import Compaction
from glimpse.client.results._decision_counts import DecisionCounts
from glimpse.client.results._resources import Collection
from glimpse.client.transport._steps import Listing, Unary
from glimpse.v1 import collection_service_pb2 as pb


def create_collection(
    collection_id: str,
    backbone: str,
    display_name: str,
    policy: DecisionPolicy | None,
    embedding_space_policy: EmbeddingSpacePolicy | None,
    review_policy: ReviewPolicy | None,
    names_as_prompts: bool,
    keep_inputs: bool,
    content_readable: bool,
    label_mode: LabelMode,
    pinned_head: Head,
    adapt_to_unlabeled: bool,
) -> Unary[Collection]:
    """Builds the request of CreateCollection."""
    collection = pb.Collection(
        display_name=display_name,
        backbone=backbone_name(backbone),
        policy=_decision_policy(policy),
        embedding_space_policy=pb.EmbeddingSpacePolicy(**set_fields(embedding_space_policy)),
        review_policy=pb.ReviewPolicy(**set_fields(review_policy)),
        names_as_prompts=names_as_prompts,
        keep_inputs=keep_inputs,
        content_readable=content_readable,
        label_mode=label_mode.value,  # type: ignore[arg-type]
        pinned_head=pinned_head.value,  # type: ignore[arg-type]
        adapt_to_unlabeled=adapt_to_unlabeled,
    )
    request = pb.CreateCollectionRequest(collection_id=collection_id, collection=collection)
    return Unary("collections.CreateCollection", request, lambda r: parse.collection(r.collection))


def get_collection(collection: CollectionRef) -> Unary[Collection]:
    """Builds the request of GetCollection."""
    request = pb.GetCollectionRequest(name=collection_name(collection))
    return Unary("collections.GetCollection", request, lambda r: parse.collection(r.collection))


def list_collections(page_size: int) -> Listing[Collection]:
    """Builds the requests of ListCollections."""
    return Listing(
        "collections.ListCollections",
        lambda token: pb.ListCollectionsRequest(page_size=page_size, page_token=token),
        lambda page: [parse.collection(message) for message in page.collections],
    )


def update_collection(
    collection: CollectionRef,
    display_name: str | None,
    policy: DecisionPolicy | None,
    embedding_space_policy: EmbeddingSpacePolicy | None,
    review_policy: ReviewPolicy | None,
    reset: Names,
    names_as_prompts: bool | None,
    keep_inputs: bool | None,
    content_readable: bool | None,
    pinned_head: Head | None,
    adapt_to_unlabeled: bool | None,
) -> Unary[Collection]:
    """Builds the request of UpdateCollection. Its mask names the fields that change."""
    policies = (policy, embedding_space_policy, review_policy)
    check_reset(names(reset), *policies)
    head = None if pinned_head is None else pinned_head.value
    settings = {
        "display_name": display_name,
        "names_as_prompts": names_as_prompts,
        "keep_inputs": keep_inputs,
        "content_readable": content_readable,
        "pinned_head": head,
        "adapt_to_unlabeled": adapt_to_unlabeled,
    }
    changes = {name: value for name, value in settings.items() if value is not None}
    fields = [name for one in policies for name in set_fields(one)]
    paths = [*changes, *map(policy_path, [*fields, *names(reset)])]
    message = pb.Collection(
        name=collection_name(collection),
        policy=_decision_policy(policy),
        embedding_space_policy=pb.EmbeddingSpacePolicy(**set_fields(embedding_space_policy)),
        review_policy=pb.ReviewPolicy(**set_fields(review_policy)),
        **changes,  # type: ignore[arg-type]
    )
    request = pb.UpdateCollectionRequest(collection=message, update_mask=FieldMask(paths=paths))
    return Unary("collections.UpdateCollection", request, lambda r: parse.collection(r.collection))


def _decision_policy(policy: DecisionPolicy | None) -> pb.DecisionPolicy:
    fields = set_fields(policy)
    costs = [
        pb.MistakeCost(label_id=each.label, answered_label_id=each.answered, cost=each.cost)
        for each in fields.pop("mistake_costs", ())
    ]
    return pb.DecisionPolicy(**fields, mistake_costs=costs)


def delete_collection(collection: CollectionRef, force: bool) -> Unary[int]:
    """Builds the request of DeleteCollection."""
    request = pb.DeleteCollectionRequest(name=collection_name(collection), force=force)
    return Unary("collections.DeleteCollection", request, lambda r: int(r.revision))


def collection_report(
    collection: CollectionRef, min_revision: int, include_left_out: bool, compare_backbones: bool
) -> Unary[CollectionReport]:
    """Builds the request of GetCollectionReport."""
    request = pb.GetCollectionReportRequest(
        name=collection_name(collection),
        min_revision=min_revision,
        include_left_out=include_left_out,
        compare_backbones=compare_backbones,
    )
    return Unary("collections.GetCollectionReport", request, parse.collection_report)


def decision_counts(collection: CollectionRef, days: int) -> Unary[tuple[DecisionCounts, ...]]:
    """Builds the request of GetDecisionCounts."""
    request = pb.GetDecisionCountsRequest(name=collection_name(collection), days=days)
    return Unary("collections.GetDecisionCounts", request, lambda r: tuple(map(_decision_counts, r.days)))


def _decision_counts(message: pb.DecisionCounts) -> DecisionCounts:
    return DecisionCounts(date.fromisoformat(message.date), message.match, message.unknown, message.ambiguous)


def attach_index(collection: CollectionRef, index: str) -> Unary[Collection]:
    """Builds the request of AttachIndex."""
    request = pb.AttachIndexRequest(collection=collection_name(collection), index=index_name(index))
    return Unary("collections.AttachIndex", request, lambda r: parse.collection(r.collection))


def detach_index(collection: CollectionRef) -> Unary[Collection]:
    """Builds the request of DetachIndex."""
    request = pb.DetachIndexRequest(collection=collection_name(collection))
    return Unary("collections.DetachIndex", request, lambda r: parse.collection(r.collection))


def start_compaction(collection: CollectionRef) -> Unary[Compaction]:
    """Builds the request of StartCompaction."""
    request = pb.StartCompactionRequest(collection=collection_name(collection))
    return Unary("collections.StartCompaction", request, lambda r: parse.compaction(r.compaction))


def get_compaction(collection: CollectionRef) -> Unary[Compaction]:
    """Builds the request of GetCompaction."""
    request = pb.GetCompactionRequest(collection=collection_name(collection))
    return Unary("collections.GetCompaction", request, lambda r: parse.compaction(r.compaction))
