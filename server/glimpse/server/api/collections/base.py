"""What the calls on collections, labels and examples share: finding what a name names."""

from glimpse.server import resource_names
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import not_found
from glimpse.server.runtime import Runtime


class ResourceCalls:
    """Finds resources by name. All raise RequestError."""

    #: See rpc.unary.
    refreshes = True

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.settings = runtime.settings
        self.catalog = runtime.catalog

    def view(self, name: str, field: str, *, usable: bool = True) -> CollectionView:
        """The collection of a resource name; `usable`: that can answer."""
        [collection_id] = resource_names.parse_name(name, "collections/*", field)
        return self.catalog.find(collection_id, field, usable=usable)

    def label(self, name: str, field: str) -> tuple[CollectionView, str]:
        """The id of the label of a resource name, and its collection."""
        collection_id, label_id = resource_names.parse_name(name, "collections/*/labels/*", field)
        view = self.catalog.find(collection_id, field)
        found = view.find_label(label_id) or label_id
        self.check_label(view, found, field)
        return view, found

    def check_label(self, view: CollectionView, label_id: str, field: str) -> None:
        """A label that is there, in a collection that is there."""
        self.catalog.check_current(view, field)
        if label_id not in view.labels:
            message = f"collection {view.record.id!r} has no label {label_id!r}"
            raise not_found("LABEL_NOT_FOUND", message, field)

    def example(self, name: str) -> tuple[CollectionView, str]:
        """The id of the example of a resource name, and its collection."""
        collection_id, example_id = resource_names.parse_name(name, "collections/*/examples/*", "name")
        view = self.catalog.find(collection_id, "name")
        self.check_example(view, example_id)
        return view, example_id

    def check_example(self, view: CollectionView, example_id: str) -> None:
        """An example that is there, in a collection that is there."""
        self.catalog.check_current(view, "name")
        if view.examples.find(example_id) is None:
            message = f"collection {view.record.id!r} has no example {example_id!r}"
            raise not_found("EXAMPLE_NOT_FOUND", message, "name")
