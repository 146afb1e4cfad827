"""Builds the requests for backbones, labels and examples, one function for each method of the services."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.client.requests._enums import LabelRole
from glimpse.client.requests._labels import Composition, LabelPolicy
from glimpse.client.requests._names import CollectionRef, Names, backbone_name, collection_name, label_name, names
from glimpse.client.results import _parse_resources as parse
from glimpse.client.results import _resources as types
from glimpse.client.results._enrollment import ExampleUpdate
from glimpse.client.transport._steps import Listing, Unary
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import embedding_service_pb2 as embedding


def list_backbones(page_size: int) -> Listing[types.Backbone]:
    """Builds the requests of ListBackbones."""
    return Listing(
        "embedding.ListBackbones",
        lambda token: embedding.ListBackbonesRequest(page_size=page_size, page_token=token),
        lambda page: [parse.backbone(message) for message in page.backbones],
    )


def get_backbone(name: str) -> Unary[types.Backbone]:
    """Builds the request of GetBackbone."""
    request = embedding.GetBackboneRequest(name=backbone_name(name))
    return Unary("embedding.GetBackbone", request, lambda r: parse.backbone(r.backbone))


def create_label(collection: CollectionRef, label_id: str, role: LabelRole, **fields: Any) -> Unary[types.Label]:
    """Builds the request of CreateLabel; `fields` are those of `_label`."""
    label, _ = _label(**fields)
    label.role = role.value  # type: ignore[assignment]
    request = pb.CreateLabelRequest(parent=collection_name(collection), label_id=label_id, label=label)
    return Unary("collections.CreateLabel", request, lambda r: parse.label(r.label, r.revision))


def get_label(collection: CollectionRef, label: str) -> Unary[types.Label]:
    """Builds the request of GetLabel."""
    request = pb.GetLabelRequest(name=label_name(collection, label))
    return Unary("collections.GetLabel", request, lambda r: parse.label(r.label))


def list_labels(collection: CollectionRef, page_size: int) -> Listing[types.Label]:
    """Builds the requests of ListLabels."""
    parent = collection_name(collection)
    return Listing(
        "collections.ListLabels",
        lambda token: pb.ListLabelsRequest(parent=parent, page_size=page_size, page_token=token),
        lambda page: [parse.label(message) for message in page.labels],
    )


def update_label(collection: CollectionRef, label: str, **fields: Any) -> Unary[types.Label]:
    """Builds the request of UpdateLabel; `fields` are those of `_label`. Its mask names the fields that change."""
    message, paths = _label(**fields)
    message.name = label_name(collection, label)
    request = pb.UpdateLabelRequest(label=message, update_mask=FieldMask(paths=paths))
    return Unary("collections.UpdateLabel", request, lambda r: parse.label(r.label, r.revision))


def _label(
    display_name: str | None,
    prompts: Names | None,
    parent: str | None,
    policy: LabelPolicy | None,
    composition: Composition | None,
    aliases: Names | None,
) -> tuple[pb.Label, list[str]]:
    """Returns a label with the fields that are not None, and their paths."""
    fields: dict[str, Any] = {
        "display_name": display_name,
        "prompts": None if prompts is None else names(prompts),
        "parent_label_id": parent,
        "policy": None if policy is None else pb.LabelPolicy(**asdict(policy)),
        "composition": None if composition is None else _composition(composition),
        "aliases": None if aliases is None else names(aliases),
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return pb.Label(**given), list(given)


def _composition(composition: Composition) -> pb.Composition:
    return pb.Composition(label_ids=names(composition.labels), not_label_ids=names(composition.not_labels))


def merge_labels(collection: CollectionRef, labels: Names, into: str) -> Unary[types.MergedLabels]:
    """Builds the request of MergeLabels."""
    request = pb.MergeLabelsRequest(parent=collection_name(collection), label_ids=names(labels), into_label_id=into)
    return Unary("collections.MergeLabels", request, parse.merged_labels)


def delete_label(collection: CollectionRef, label: str, force: bool) -> Unary[int]:
    """Builds the request of DeleteLabel."""
    request = pb.DeleteLabelRequest(name=label_name(collection, label), force=force)
    return Unary("collections.DeleteLabel", request, lambda r: int(r.revision))


def get_example(name: str, include_vector: bool) -> Unary[types.Example]:
    """Builds the request of GetExample."""
    request = pb.GetExampleRequest(name=name, include_vector=include_vector)
    return Unary("collections.GetExample", request, lambda r: parse.example(r.example))


def list_examples(
    collection: CollectionRef, label: str, include_vector: bool, page_size: int
) -> Listing[types.Example]:
    """Builds the requests of ListExamples."""
    parent = collection_name(collection)
    return Listing(
        "collections.ListExamples",
        lambda token: pb.ListExamplesRequest(
            parent=parent,
            page_size=page_size,
            page_token=token,
            label_id=label,
            include_vector=include_vector,
        ),
        lambda page: [parse.example(message) for message in page.examples],
    )


def delete_example(name: str) -> Unary[int]:
    """Builds the request of DeleteExample."""
    request = pb.DeleteExampleRequest(name=name)
    return Unary("collections.DeleteExample", request, lambda r: int(r.revision))


def update_examples(
    collection: CollectionRef,
    example_names: Names,
    label: str | None,
    domain: str | None,
    group: str | None,
    metadata: Mapping[str, str] | None,
) -> Unary[ExampleUpdate]:
    """Builds the request of UpdateExamples. Its mask names the fields that change."""
    values = {"label_id": label, "domain": domain, "group": group, "metadata": metadata}
    changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    request = pb.UpdateExamplesRequest(
        parent=collection_name(collection),
        names=names(example_names),
        example=pb.Example(**changes),
        update_mask=FieldMask(paths=changes),
    )
    return Unary("collections.UpdateExamples", request, lambda r: ExampleUpdate(r.revision, r.updated_count))


def delete_examples(collection: CollectionRef, example_names: Names) -> Unary[int]:
    """Builds the request of DeleteExamples."""
    request = pb.DeleteExamplesRequest(parent=collection_name(collection), names=names(example_names))
    return Unary("collections.DeleteExamples", request, lambda r: int(r.revision))
