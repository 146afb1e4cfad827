"""Builds resource names from an id or a full name."""

from collections.abc import Sequence

from glimpse.client.results._resources import Collection
from glimpse.client.transport._errors import InvalidArgument

CollectionRef = str | Collection
"""A collection: its id, its full name, or a Collection."""

Names = str | Sequence[str]
"""One name, or several."""


def names(value: Names) -> Sequence[str]:
    """Returns a list of names. A single str is one name, not a list of letters."""
    return [value] if isinstance(value, str) else value


def backbone_name(name: str) -> str:
    """Returns `backbones/{id}`. An empty name stays empty and means the server's only backbone."""
    return name if "/" in name or not name else f"backbones/{name}"


def collection_name(collection: CollectionRef) -> str:
    """Returns `collections/{id}`."""
    if isinstance(collection, Collection):
        return collection.name
    return collection if "/" in collection else f"collections/{collection}"


def collection_names(collections: CollectionRef | Sequence[CollectionRef]) -> list[str]:
    """Returns the full names of one collection or several."""
    references = [collections] if isinstance(collections, str | Collection) else collections
    return [collection_name(reference) for reference in references]


def index_name(name: str) -> str:
    """Returns `indexes/{id}`."""
    return name if name.startswith("indexes/") else f"indexes/{name}"


def label_name(collection: CollectionRef, label: str) -> str:
    """Returns `collections/{collection}/labels/{id}`.

    Raises:
        InvalidArgument: If `label` is the full name of a label in another collection.
    """
    parent = f"{collection_name(collection)}/labels/"
    if not label.startswith("collections/"):
        return parent + label
    if not label.startswith(parent):
        message = f"the label {label} is not in {collection_name(collection)}"
        raise InvalidArgument(message, reason="INVALID_NAME", field="name")
    return label
