"""The base of the objects that answer ReviewService: it reads the names of review items."""

from collections.abc import Sequence

from glimpse.server import validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError, invalid, not_found
from glimpse.server.resource_names import parse_name


class ReviewCalls(ResourceCalls):
    """Finds collections and the ids of review items. Every method raises RequestError."""

    def item_ids(self, view: CollectionView, names: Sequence[str], most: int) -> list[str]:
        """Returns the ids of items that a request names in its field `names`.

        Args:
            view: The collection that the request's parent names.
            names: The resource names.
            most: The most of them.
        """
        validation.check_count(names, most, "names")
        ids = []
        for position, name in enumerate(names):
            field = f"names[{position}]"
            collection_id, item_id = parse_name(name, "collections/*/reviewItems/*", field)
            if collection_id != view.record.id:
                raise invalid("INVALID_NAME", f"{name!r} is no item of collection {view.record.id!r}", field)
            ids.append(item_id)
        return ids


def item_not_found(name: str) -> RequestError:
    """Returns the error of an item that does not exist, or no longer."""
    return not_found("REVIEW_ITEM_NOT_FOUND", f"there is no review item {name!r}, or it has expired", "names")
