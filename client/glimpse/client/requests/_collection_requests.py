"""From arguments to what is sent and how the answer is read: a function a call on collections."""

from typing import Literal

from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.client.requests._enums import Head, LabelMode
from glimpse.client.requests._names import CollectionRef, backbone_name, collection_name, index_name
from glimpse.client.results import _parse_resources as read
from glimpse.client.results._collection_report import CollectionReport
from glimpse.client.results._compaction import Compaction
from glimpse.client.results._resources import Collection
from glimpse.client.transport._steps import Listing, Unary
from glimpse.v1 import collection_service_pb2 as pb

Threshold = float | Literal["default"] | None
"""A number, "default" for what holds where none is set, or None for no change."""


def create_collection(
    collection_id: str,
    backbone: str,
    display_name: str,
    names_as_prompts: bool,
    keep_inputs: bool,
    label_mode: LabelMode,
    pinned_head: Head,
    min_space_cosine: float | None = None,
    **policy: float | None,
) -> Unary[Collection]:
    """CreateCollection; a policy's None leaves the default."""
    collection = pb.Collection(
        display_name=display_name,
        backbone=backbone_name(backbone),
        policy=pb.DecisionPolicy(**policy),
        embedding_space_policy=pb.EmbeddingSpacePolicy(min_space_cosine=min_space_cosine),
        names_as_prompts=names_as_prompts,
        keep_inputs=keep_inputs,
        label_mode=label_mode.value,  # type: ignore[arg-type]
        pinned_head=pinned_head.value,  # type: ignore[arg-type]
    )
    request = pb.CreateCollectionRequest(collection_id=collection_id, collection=collection)
    return Unary("collections.CreateCollection", request, lambda r: read.collection_of(r.collection))


def get_collection(collection: CollectionRef) -> Unary[Collection]:
    """GetCollection."""
    request = pb.GetCollectionRequest(name=collection_name(collection))
    return Unary("collections.GetCollection", request, lambda r: read.collection_of(r.collection))


def list_collections(page_size: int) -> Listing[Collection]:
    """ListCollections."""
    return Listing(
        "collections.ListCollections",
        lambda token: pb.ListCollectionsRequest(page_size=page_size, page_token=token),
        lambda page: [read.collection_of(one) for one in page.collections],
    )


def update_collection(
    collection: CollectionRef,
    display_name: str | None,
    names_as_prompts: bool | None,
    keep_inputs: bool | None,
    pinned_head: Head | None,
    min_space_cosine: Threshold = None,
    **policy: Threshold,
) -> Unary[Collection]:
    """UpdateCollection; the mask names what is given."""
    new, mask = pb.Collection(name=collection_name(collection)), FieldMask()
    if display_name is not None:
        new.display_name = display_name
        mask.paths.append("display_name")
    if names_as_prompts is not None:
        new.names_as_prompts = names_as_prompts
        mask.paths.append("names_as_prompts")
    if keep_inputs is not None:
        new.keep_inputs = keep_inputs
        mask.paths.append("keep_inputs")
    if pinned_head is not None:
        new.pinned_head = pinned_head.value  # type: ignore[assignment]
        mask.paths.append("pinned_head")
    for field, value in policy.items():
        if value is not None:
            mask.paths.append(f"policy.{field}")
        if value is not None and value != "default":
            setattr(new.policy, field, value)
    if min_space_cosine is not None:
        mask.paths.append("embedding_space_policy.min_space_cosine")
    if min_space_cosine is not None and min_space_cosine != "default":
        new.embedding_space_policy.min_space_cosine = min_space_cosine
    request = pb.UpdateCollectionRequest(collection=new, update_mask=mask)
    return Unary("collections.UpdateCollection", request, lambda r: read.collection_of(r.collection))


def delete_collection(collection: CollectionRef, force: bool) -> Unary[int]:
    """DeleteCollection."""
    request = pb.DeleteCollectionRequest(name=collection_name(collection), force=force)
    return Unary("collections.DeleteCollection", request, lambda r: int(r.revision))


def collection_report(collection: CollectionRef, min_revision: int) -> Unary[CollectionReport]:
    """GetCollectionReport."""
    request = pb.GetCollectionReportRequest(name=collection_name(collection), min_revision=min_revision)
    return Unary("collections.GetCollectionReport", request, read.collection_report)


def attach_index(collection: CollectionRef, index: str) -> Unary[Collection]:
    """AttachIndex."""
    request = pb.AttachIndexRequest(collection=collection_name(collection), index=index_name(index))
    return Unary("collections.AttachIndex", request, lambda r: read.collection_of(r.collection))


def detach_index(collection: CollectionRef) -> Unary[Collection]:
    """DetachIndex."""
    request = pb.DetachIndexRequest(collection=collection_name(collection))
    return Unary("collections.DetachIndex", request, lambda r: read.collection_of(r.collection))


def start_compaction(collection: CollectionRef) -> Unary[Compaction]:
    """StartCompaction."""
    request = pb.StartCompactionRequest(collection=collection_name(collection))
    return Unary("collections.StartCompaction", request, lambda r: read.compaction(r.compaction))


def get_compaction(collection: CollectionRef) -> Unary[Compaction]:
    """GetCompaction."""
    request = pb.GetCompactionRequest(collection=collection_name(collection))
    return Unary("collections.GetCompaction", request, lambda r: read.compaction(r.compaction))
