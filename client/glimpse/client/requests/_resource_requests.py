"""From arguments to what is sent and how the answer is read: a function a call on backbones, labels and examples."""

from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.client.requests._enums import LabelRole
from glimpse.client.requests._names import CollectionRef, Names, backbone_name, collection_name, label_name, names
from glimpse.client.results import _parse_resources as read
from glimpse.client.results import _resources as types
from glimpse.client.transport._steps import Listing, Unary
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import embedding_service_pb2 as embedding


def list_backbones(page_size: int) -> Listing[types.Backbone]:
    """ListBackbones."""
    return Listing(
        "embedding.ListBackbones",
        lambda token: embedding.ListBackbonesRequest(page_size=page_size, page_token=token),
        lambda page: [read.backbone(one) for one in page.backbones],
    )


def get_backbone(name: str) -> Unary[types.Backbone]:
    """GetBackbone."""
    request = embedding.GetBackboneRequest(name=backbone_name(name))
    return Unary("embedding.GetBackbone", request, lambda response: read.backbone(response.backbone))


def create_label(
    collection: CollectionRef, label_id: str, display_name: str, prompts: Names, role: LabelRole
) -> Unary[types.Label]:
    """CreateLabel."""
    label = pb.Label(display_name=display_name, prompts=names(prompts), role=role.value)  # type: ignore[arg-type]
    request = pb.CreateLabelRequest(parent=collection_name(collection), label_id=label_id, label=label)
    return Unary("collections.CreateLabel", request, lambda r: read.label(r.label, r.revision))


def get_label(collection: CollectionRef, label: str) -> Unary[types.Label]:
    """GetLabel."""
    request = pb.GetLabelRequest(name=label_name(collection, label))
    return Unary("collections.GetLabel", request, lambda r: read.label(r.label))


def list_labels(collection: CollectionRef, page_size: int) -> Listing[types.Label]:
    """ListLabels."""
    parent = collection_name(collection)
    return Listing(
        "collections.ListLabels",
        lambda token: pb.ListLabelsRequest(parent=parent, page_size=page_size, page_token=token),
        lambda page: [read.label(one) for one in page.labels],
    )


def update_label(
    collection: CollectionRef, label: str, display_name: str | None, prompts: Names | None
) -> Unary[types.Label]:
    """UpdateLabel; the mask names what is given."""
    new, mask = pb.Label(name=label_name(collection, label)), FieldMask()
    if display_name is not None:
        new.display_name = display_name
        mask.paths.append("display_name")
    if prompts is not None:
        new.prompts.extend(names(prompts))
        mask.paths.append("prompts")
    request = pb.UpdateLabelRequest(label=new, update_mask=mask)
    return Unary("collections.UpdateLabel", request, lambda r: read.label(r.label, r.revision))


def delete_label(collection: CollectionRef, label: str, force: bool) -> Unary[int]:
    """DeleteLabel."""
    request = pb.DeleteLabelRequest(name=label_name(collection, label), force=force)
    return Unary("collections.DeleteLabel", request, lambda r: int(r.revision))


def get_example(name: str, include_vector: bool) -> Unary[types.Example]:
    """GetExample."""
    request = pb.GetExampleRequest(name=name, include_vector=include_vector)
    return Unary("collections.GetExample", request, lambda r: read.example(r.example))


def list_examples(
    collection: CollectionRef, label: str, include_vector: bool, page_size: int
) -> Listing[types.Example]:
    """ListExamples."""
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
        lambda page: [read.example(one) for one in page.examples],
    )


def delete_example(name: str) -> Unary[int]:
    """DeleteExample."""
    request = pb.DeleteExampleRequest(name=name)
    return Unary("collections.DeleteExample", request, lambda r: int(r.revision))
