"""Which backbone, and whose vectors, a collection takes: those of its own embedding space, and what its policy lets in.

A backbone of lower precision has a space of its own. Where it declares the collection's space its parent, with the
smallest cosine measured between the two, and the collection's policy asks for no more, it stands in for the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from glimpse.ledger import CollectionRecord
from glimpse.server.errors import RequestError, failed_precondition
from glimpse.server.inference.backbones import LoadedBackbone


@dataclass(frozen=True, slots=True)
class Source:
    """Where vectors come from: a space, and the backbone that embeds into it, or why there is none."""

    embedding_space: str
    dimension: int
    backbone: LoadedBackbone | RequestError
    #: Spaces of loaded backbones that declare this one their parent, and their smallest cosine to it.
    children: Mapping[str, float] = field(default_factory=dict)
    #: The cosine from which on a child is let in; None: none is.
    min_cosine: float | None = None

    def takes(self, embedding_space: str) -> bool:
        """Whether a vector of this space is taken."""
        if embedding_space == self.embedding_space:
            return True
        return self.min_cosine is not None and self.children.get(embedding_space, -1) >= self.min_cosine


def source_of_backbone(backbone: LoadedBackbone) -> Source:
    """A backbone's own space, and no other."""
    return Source(backbone.manifest.embedding_space, backbone.manifest.dimension, backbone)


def source_of_collection(record: CollectionRecord, backbones: Iterable[LoadedBackbone]) -> Source:
    """A collection's space. Vectors are taken even where no backbone for it is loaded."""
    loaded = list(backbones)
    children = [backbone for backbone in loaded if _is_child(backbone, record)]
    cosines = {child.manifest.embedding_space: _cosine(child) for child in children}
    backbone = _backbone_of(record, loaded, children)
    return Source(record.embedding_space, record.dimension, backbone, cosines, record.min_space_cosine)


def _backbone_of(
    record: CollectionRecord, loaded: list[LoadedBackbone], children: list[LoadedBackbone]
) -> LoadedBackbone | RequestError:
    """The backbone of the very space, by whatever name; else the nearest child that the policy lets in."""
    for backbone in loaded:
        if backbone.manifest.embedding_space == record.embedding_space:
            return backbone
    if children:
        nearest = max(children, key=_cosine)
        if record.min_space_cosine is not None and _cosine(nearest) >= record.min_space_cosine:
            return nearest
        return failed_precondition(
            "EMBEDDING_SPACE_MISMATCH",
            f"collection {record.id!r} holds vectors of another embedding space than {nearest.name} makes, though "
            f"with a cosine of at least {_cosine(nearest):g} to them: {_how_to_let_in(_cosine(nearest))}",
        )
    if any(backbone.name == record.backbone for backbone in loaded):
        return failed_precondition(
            "EMBEDDING_SPACE_MISMATCH",
            f"collection {record.id!r} holds vectors of {record.backbone}'s embedding space {record.embedding_space}, "
            "which the one loaded does not make; start the server with the bundle it was, or send vectors",
        )
    return failed_precondition(
        "BACKBONE_NOT_LOADED",
        f"collection {record.id!r} needs {record.backbone}; start the server with it, or send vectors",
    )


def mismatch(source: Source, given: str) -> str:
    """Why a vector of another space is refused, and what would let it in."""
    told = f"the vector is of embedding space {given or '(none given)'!r}, wanted is {source.embedding_space!r}"
    cosine = source.children.get(given)
    return told if cosine is None else f"{told}; {_how_to_let_in(cosine)}"


def _how_to_let_in(cosine: float) -> str:
    return f"an embedding_space_policy.min_space_cosine of at most {cosine:g} lets them in"


def _is_child(backbone: LoadedBackbone, record: CollectionRecord) -> bool:
    manifest = backbone.manifest
    parent = manifest.parent
    return bool(parent and parent.embedding_space == record.embedding_space and manifest.dimension == record.dimension)


def _cosine(child: LoadedBackbone) -> float:
    parent = child.manifest.parent
    return parent.min_cosine if parent else -1.0
