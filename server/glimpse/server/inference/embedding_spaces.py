"""Finds the backbone for a collection, and the embedding spaces whose vectors it accepts.

A collection accepts its own embedding space. A backbone of lower precision has an embedding space of its own, and can
declare the collection's space as its parent, with the smallest cosine measured between the two. It replaces the parent
if the collection's policy accepts that cosine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from glimpse.ledger import CollectionRecord
from glimpse.server.errors import RequestError, failed_precondition
from glimpse.server.inference.backbones import LoadedBackbone


@dataclass(frozen=True, slots=True)
class Source:
    """An embedding space with the backbone that embeds into it, or the error that explains why there is none."""

    embedding_space: str
    dimension: int
    backbone: LoadedBackbone | RequestError
    #: Spaces of loaded backbones that declare this space as their parent, with their smallest cosine to it.
    children: Mapping[str, float] = field(default_factory=dict)
    #: Smallest cosine at which a child space is accepted; None accepts no child.
    min_cosine: float | None = None

    def takes(self, embedding_space: str) -> bool:
        """Returns whether vectors of an embedding space are accepted."""
        if embedding_space == self.embedding_space:
            return True
        return self.min_cosine is not None and self.children.get(embedding_space, -1) >= self.min_cosine


def source_of_backbone(backbone: LoadedBackbone) -> Source:
    """Returns the source for a backbone's own space only."""
    return Source(backbone.manifest.embedding_space, backbone.manifest.dimension, backbone)


def source_of_collection(record: CollectionRecord, backbones: Iterable[LoadedBackbone]) -> Source:
    """Returns the source for a collection. It accepts vectors even if no backbone of the collection is loaded."""
    loaded = list(backbones)
    children = [backbone for backbone in loaded if _is_child(backbone, record)]
    cosines = {child.manifest.embedding_space: _cosine(child) for child in children}
    backbone = _backbone_of(record, loaded, children)
    return Source(record.embedding_space, record.dimension, backbone, cosines, record.min_space_cosine)


def _backbone_of(
    record: CollectionRecord, loaded: list[LoadedBackbone], children: list[LoadedBackbone]
) -> LoadedBackbone | RequestError:
    """Returns the backbone of the same space, whatever its name, or else the nearest child that the policy accepts."""
    for backbone in loaded:
        if backbone.manifest.embedding_space == record.embedding_space:
            return backbone
    if children:
        nearest = max(children, key=_cosine)
        if record.min_space_cosine is not None and _cosine(nearest) >= record.min_space_cosine:
            return nearest
        return failed_precondition(
            "EMBEDDING_SPACE_MISMATCH",
            f"collection {record.id!r} has another embedding space than {nearest.name}, with a cosine of at least "
            f"{_cosine(nearest):g} to it: {_hint(_cosine(nearest))}",
        )
    if any(backbone.name == record.backbone for backbone in loaded):
        return failed_precondition(
            "EMBEDDING_SPACE_MISMATCH",
            f"collection {record.id!r} has the embedding space {record.embedding_space} of an earlier "
            f"{record.backbone}, unlike the loaded one; start the server with that bundle, or send vectors",
        )
    return failed_precondition(
        "BACKBONE_NOT_LOADED",
        f"collection {record.id!r} needs {record.backbone}; start the server with it, or send vectors",
    )


def mismatch(source: Source, space: str) -> str:
    """Returns the error message for a vector of another space, with the policy that would accept it."""
    message = f"the vector has embedding space {space or '(none)'!r}; expected {source.embedding_space!r}"
    cosine = source.children.get(space)
    return message if cosine is None else f"{message}; {_hint(cosine)}"


def _hint(cosine: float) -> str:
    return f"an embedding_space_policy.min_space_cosine of at most {cosine:g} accepts it"


def _is_child(backbone: LoadedBackbone, record: CollectionRecord) -> bool:
    manifest = backbone.manifest
    parent = manifest.parent
    return bool(parent and parent.embedding_space == record.embedding_space and manifest.dimension == record.dimension)


def _cosine(child: LoadedBackbone) -> float:
    parent = child.manifest.parent
    return parent.min_cosine if parent else -1.0
