"""The base of the objects that answer CollectionService and ReviewService: it finds resources by their names."""

from collections.abc import Sequence

from glimpse.server import resource_names, validation
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import invalid, not_found
from glimpse.server.runtime import Runtime


class ResourceCalls:
    """Finds collections, labels and examples by resource name. Every method raises RequestError."""

    def __init__(self, runtime: Runtime) -> None:
        """Keeps the parts of `runtime` for subclasses."""
        self.runtime = runtime
        self.settings = runtime.settings
        self.catalog = runtime.catalog

    def view(self, name: str, field: str, *, usable: bool = True) -> CollectionView:
        """Returns the collection that a resource name names.

        Args:
            name: `collections/{collection}`.
            field: The request field of the name, for errors.
            usable: Refuse a collection that cannot answer, for example because its index is damaged.
        """
        [collection_id] = resource_names.parse_name(name, "collections/*", field)
        return self.catalog.find(collection_id, field, usable=usable)

    def ids(self, view: CollectionView, names: Sequence[str], kind: str, most: int) -> list[str]:
        """Returns the ids of resources of a collection that a request names in its field `names`.

        Args:
            view: The collection that the request's parent names.
            names: The resource names.
            kind: The segment before the id, for example `examples`.
            most: The most names.
        """
        validation.check_count(names, most, "names")
        ids = []
        for position, name in enumerate(names):
            field = f"names[{position}]"
            collection_id, id = resource_names.parse_name(name, f"collections/*/{kind}/*", field)
            if collection_id != view.record.id:
                raise invalid("INVALID_NAME", f"{name!r} is not in collection {view.record.id!r}", field)
            ids.append(id)
        return ids

    def label(self, name: str, field: str) -> tuple[CollectionView, str]:
        """Returns the collection and the label id that a resource name names, in the spelling of the ledger.

        Args:
            name: `collections/{collection}/labels/{label}`.
            field: The request field of the name, for errors.
        """
        collection_id, label_id = resource_names.parse_name(name, "collections/*/labels/*", field)
        view = self.catalog.find(collection_id, field)
        kept_id = view.find_label(label_id) or label_id
        self.check_label(view, kept_id, field)
        return view, kept_id

    def check_label(self, view: CollectionView, label_id: str, field: str) -> None:
        """Checks that a collection is still current and has a label."""
        self.catalog.check_current(view, field)
        if label_id not in view.labels:
            message = f"collection {view.record.id!r} has no label {label_id!r}"
            raise not_found("LABEL_NOT_FOUND", message, field)

    def example(self, name: str) -> tuple[CollectionView, str]:
        """Returns the collection and the example id that the request field `name` names.

        Args:
            name: `collections/{collection}/examples/{example}`.
        """
        collection_id, example_id = resource_names.parse_name(name, "collections/*/examples/*", "name")
        view = self.catalog.find(collection_id, "name")
        self.check_example(view, example_id, "name")
        return view, example_id

    def check_example(self, view: CollectionView, example_id: str, field: str) -> int:
        """Checks that a collection is still current and has an example, and returns the id of its vector."""
        self.catalog.check_current(view, field)
        if (id := view.examples.find(example_id)) is None:
            message = f"collection {view.record.id!r} has no example {example_id!r}"
            raise not_found("EXAMPLE_NOT_FOUND", message, field)
        return id
