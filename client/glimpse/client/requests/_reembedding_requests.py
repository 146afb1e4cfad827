"""From arguments to what is sent and how the answer is read: a function a call on migrations."""

from glimpse.client.requests._names import CollectionRef, backbone_name, collection_name
from glimpse.client.results import _parse_resources as read
from glimpse.client.results._reembedding import Migration, MigrationFailure, MigrationSide, SwitchResult
from glimpse.client.results._resources import Collection
from glimpse.client.transport._steps import Unary
from glimpse.v1 import collection_service_pb2 as pb


def start_migration(collection: CollectionRef, backbone: str) -> Unary[Migration]:
    """StartMigration."""
    request = pb.StartMigrationRequest(collection=collection_name(collection), backbone=backbone_name(backbone))
    return Unary("collections.StartMigration", request, lambda r: _migration(r.migration))


def get_migration(collection: CollectionRef, measure: bool) -> Unary[Migration]:
    """GetMigration."""
    request = pb.GetMigrationRequest(collection=collection_name(collection), measure=measure)
    return Unary("collections.GetMigration", request, lambda r: _migration(r.migration))


def switch_backbone(collection: CollectionRef, embedding_space: str, force: bool) -> Unary[SwitchResult]:
    """SwitchBackbone."""
    request = pb.SwitchBackboneRequest(
        collection=collection_name(collection), embedding_space=embedding_space, force=force
    )
    return Unary("collections.SwitchBackbone", request, _switched)


def end_migration(collection: CollectionRef) -> Unary[Collection]:
    """EndMigration."""
    request = pb.EndMigrationRequest(collection=collection_name(collection))
    return Unary("collections.EndMigration", request, lambda r: read.collection_of(r.collection))


def _migration(message: pb.Migration) -> Migration:
    return Migration(
        collection=message.collection,
        current=_side(message.current),
        shadow=_side(message.shadow),
        switched=message.switched,
        example_count=message.example_count,
        embedded_count=message.embedded_count,
        left_count=message.left_count,
        failed_count=message.failed_count,
        failures=tuple(MigrationFailure(one.example, one.label_id, one.problem) for one in message.failures),
        labels_left_count=message.labels_left_count,
        labels_failed_count=message.labels_failed_count,
        set_aside_count=message.set_aside_count,
        start_time=read.time_of(message.start_time),
    )


def _side(message: pb.MigrationSide) -> MigrationSide:
    figures = read.check(message.figures) if message.HasField("figures") else None
    return MigrationSide(message.backbone, message.embedding_space, message.loaded, figures)


def _switched(message: pb.SwitchBackboneResponse) -> SwitchResult:
    former = message.former_policy
    return SwitchResult(
        collection=read.collection_of(message.collection),
        former_match_threshold=read.optional(former, "match_threshold"),
        former_match_margin=read.optional(former, "match_margin"),
        former_min_space_cosine=read.optional(former, "min_space_cosine"),
        set_aside_count=message.set_aside_count,
    )
