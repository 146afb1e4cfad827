"""Converts records to the resources of the contract."""

from google.protobuf.timestamp_pb2 import Timestamp

from glimpse.ledger import ExampleRecord, LabelRecord
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.review_policy import review_policy
from glimpse.server.resource_names import collection_name, example_name, index_name, label_name
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


def timestamp(microseconds: int) -> Timestamp:
    """Converts microseconds since the epoch to a Timestamp."""
    stamp = Timestamp()
    stamp.FromMicroseconds(microseconds)
    return stamp


def collection_message(view: CollectionView) -> pb.Collection:
    """Returns a collection with the counts of its labels and examples."""
    record = view.record
    return pb.Collection(
        name=collection_name(record.id),
        display_name=record.display_name,
        backbone=record.backbone,
        embedding_space=record.embedding_space,
        policy=pb.DecisionPolicy(
            match_threshold=record.match_threshold,
            match_margin=record.match_margin,
            false_reject_rate=record.false_reject_rate,
            false_accept_rate=record.false_accept_rate,
            coverage=record.coverage,
            mistake_costs=[
                pb.MistakeCost(label_id=truth, answered_label_id=answered, cost=cost)
                for truth, answered, cost in record.mistake_costs
            ],
        ),
        embedding_space_policy=pb.EmbeddingSpacePolicy(min_space_cosine=record.min_space_cosine),
        label_mode=record.label_mode,  # type: ignore[arg-type]
        pinned_head=record.pinned_head,  # type: ignore[arg-type]
        names_as_prompts=record.names_as_prompts,
        keep_inputs=record.keep_inputs,
        adapt_to_unlabeled=record.adapt_to_unlabeled,
        review_policy=review_policy(record),
        content_readable=record.content_readable,
        label_count=len(view.labels),
        example_count=len(view.examples),
        revision=record.revision,
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        index=_index_message(view.examples.attached_index) if view.examples.attached_index else None,
    )


def _index_message(attached: AttachedIndex) -> pb.AttachedIndex:
    count = len(attached.index)
    return pb.AttachedIndex(
        name=index_name(attached.record.index_id),
        factory=attached.index.manifest.index.factory,
        vector_count=count,
        deleted_count=count - attached.count,
        unlabeled_count=attached.unlabeled_count,
        searched=attached.searched,
    )


def label_message(view: CollectionView, label_id: str) -> pb.Label:
    """Returns a label with the count of its examples."""
    record = view.labels[label_id]
    return pb.Label(
        name=label_name(view.record.id, label_id),
        display_name=record.display_name,
        prompts=record.prompts,
        example_count=view.examples.count(label_id),
        role=record.role,  # type: ignore[arg-type]
        create_time=timestamp(record.create_time),
        update_time=timestamp(record.update_time),
        parent_label_id=record.parent_id,
        policy=_label_policy(record),
        composition=pb.Composition(label_ids=record.parts, not_label_ids=record.not_parts) if record.composed else None,
        aliases=record.aliases,
    )


def _label_policy(record: LabelRecord) -> pb.LabelPolicy | None:
    """Returns a label's own policy; None if the collection's holds."""
    policy = pb.LabelPolicy(
        match_threshold=record.match_threshold,
        false_reject_rate=record.false_reject_rate,
        min_examples=record.min_examples,
    )
    return policy if policy.ByteSize() else None


def example_message(collection_id: str, record: ExampleRecord, embedding_space: str = "") -> pb.Example:
    """Returns an example.

    Args:
        collection_id: The example's collection.
        record: The example.
        embedding_space: The collection's embedding space, to include the vector; empty: without the vector.
    """
    space = record.embedding_space or embedding_space
    vector = types_pb2.Vector(data=record.vector, embedding_space=space) if embedding_space else None
    created = timestamp(record.create_time)
    return pb.Example(
        name=example_name(collection_id, record.id),
        label_id=record.label_id,
        content_digest=record.content_digest,
        modality=record.modality,  # type: ignore[arg-type]
        domain=record.domain,
        metadata=record.metadata,
        create_time=created,
        vector=vector,
        group=record.group,
    )
