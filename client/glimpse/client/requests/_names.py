"""Resource names from what callers write: a bare id or the full name."""

from collections.abc import Sequence

from glimpse.client.results._resources import Collection
from glimpse.client.transport._errors import InvalidArgument

CollectionRef = str | Collection
"""A collection's id, its full name, or the Collection itself."""

Names = str | Sequence[str]
"""One name, or several."""


def names(given: Names) -> Sequence[str]:
    """A list of names, where a lone str is one name and not a list of its letters."""
    return [given] if isinstance(given, str) else given


def backbone_name(given: str) -> str:
    """`backbones/{backbone}`; empty stays empty: the server's only one."""
    return given if "/" in given or not given else f"backbones/{given}"


def collection_name(given: CollectionRef) -> str:
    """`collections/{collection}`."""
    if isinstance(given, Collection):
        return given.name
    return given if "/" in given else f"collections/{given}"


def collection_names(given: CollectionRef | Sequence[CollectionRef]) -> list[str]:
    """The names of one collection or several."""
    many = [given] if isinstance(given, str | Collection) else given
    return [collection_name(one) for one in many]


def index_name(given: str) -> str:
    """`indexes/{index}`."""
    return given if given.startswith("indexes/") else f"indexes/{given}"


def label_name(collection: CollectionRef, label: str) -> str:
    """`collections/{collection}/labels/{label}`. Raises InvalidArgument for a full name in another collection."""
    parent = f"{collection_name(collection)}/labels/"
    if not label.startswith("collections/"):
        return parent + label
    if not label.startswith(parent):
        raise InvalidArgument(f"{label} is not of {collection_name(collection)}", reason="INVALID_NAME", field="name")
    return label
