"""CollectionService's calls that change several examples at once."""

from collections.abc import Callable, Sequence
from typing import Any

from glimpse.ledger import ContentExists, Updated, Writer
from glimpse.server import resource_names, validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.composed_labels import check_takes_examples
from glimpse.server.errors import already_exists, failed_precondition, invalid
from glimpse.v1 import collection_service_pb2 as pb

# The most examples of a call.
_MAX_EXAMPLES = 256


class ExampleChangeCalls(ResourceCalls):
    """Updates and deletes examples, each call in one change of the ledger. Every method raises RequestError."""

    async def update(self, request: pb.UpdateExamplesRequest) -> pb.UpdateExamplesResponse:
        """Checks the new values, and writes the fields that the mask names to all examples of the request."""
        view = self.view(request.parent, "parent")
        example_ids = self.ids(view, request.names, "examples", _MAX_EXAMPLES)
        values = _values(view, request)

        def plan() -> Callable[[Writer], Updated]:
            for position, id in enumerate(self._find(view, example_ids)):
                if not view.examples.is_enrolled(id):
                    message = f"{example_ids[position]!r} is a row of the attached index, which cannot be changed"
                    raise failed_precondition("EXAMPLE_IN_INDEX", message, f"names[{position}]")
            if "label_id" in values:
                self.check_label(view, values["label_id"], "example.label_id")
                check_takes_examples(view.labels, values["label_id"], "example.label_id")
            return lambda writer: writer.update_examples(view.record.id, example_ids, values)

        def apply(updated: Updated) -> int:
            view.update_examples(updated.examples)
            return view.set_revision(updated.revision)

        try:
            updated = await self.catalog.write(plan, apply)
        except ContentExists as error:
            field = f"names[{example_ids.index(error.example_id)}]"
            raise already_exists("EXAMPLE_EXISTS", str(error), field) from error
        return pb.UpdateExamplesResponse(revision=updated.revision, updated_count=len(updated.examples))

    async def delete(self, request: pb.DeleteExamplesRequest) -> pb.DeleteExamplesResponse:
        """Deletes enrolled examples, and marks rows of the attached index as deleted."""
        view = self.view(request.parent, "parent")
        example_ids = self.ids(view, request.names, "examples", _MAX_EXAMPLES)

        def plan() -> Callable[[Writer], int]:
            ids, attached = self._find(view, example_ids), view.examples.attached_index
            rows = [id - attached.first for id in ids if not view.examples.is_enrolled(id)] if attached else []
            pairs = zip(example_ids, ids, strict=True)
            enrolled = [example_id for example_id, id in pairs if view.examples.is_enrolled(id)]
            return lambda writer: writer.delete_examples(view.record.id, enrolled, rows)

        def apply(revision: int) -> int:
            view.remove_examples(example_ids)
            return view.set_revision(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DeleteExamplesResponse(revision=revision)

    def _find(self, view: CollectionView, example_ids: Sequence[str]) -> list[int]:
        """Returns the ids of the examples' vectors, after a check that each exists and is named once."""
        ids = dict[int, None]()
        for position, example_id in enumerate(example_ids):
            field = f"names[{position}]"
            id = self.check_example(view, example_id, field)
            if id in ids:  # a row of the index may be spelled in several ways
                raise invalid("DUPLICATE_EXAMPLE", f"example {example_id!r} is given twice", field)
            ids[id] = None
        return list(ids)


def _values(view: CollectionView, request: pb.UpdateExamplesRequest) -> dict[str, Any]:
    """Returns the values that the mask names, as the ledger keeps them. Raises RequestError."""
    example, values = request.example, dict[str, Any]()
    for path in validation.mask_paths(request.update_mask.paths):
        field = f"example.{path}"
        match path:
            case "label_id":
                label_id = view.find_label(example.label_id)
                values[path] = label_id or validation.check_label_id(example.label_id, field)
            case "domain" | "group":
                validation.check_length(getattr(example, path), field)
                values[path] = resource_names.normal(getattr(example, path))
            case "metadata":
                validation.check_metadata(example.metadata, field)
                values[path] = dict(example.metadata)
            case _:
                raise invalid("UNKNOWN_FIELD", f"{path!r} cannot be updated", "update_mask")
    return values
