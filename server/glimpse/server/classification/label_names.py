"""Collections whose labels are prompted by their names where they have no prompts."""

from glimpse.backbone import name_as_prompt, with_templates
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.embedding_spaces import Source
from glimpse.server.inference.prompt_embeddings import prompt_directions

_AT_ONCE = 16  # labels


async def prompt_names(source: Source, view: CollectionView, deadline: float) -> None:
    """Gives labels without prompts the directions of their names, where the collection wants that.

    In memory alone: names are cheap to embed again, and a collection's wish may change. Raises RequestError.
    """
    if not view.record.names_as_prompts:
        return
    if isinstance(source.backbone, RequestError) or not source.backbone.manifest.text or not view.unnamed_labels():
        return  # vectors are still answered, by the labels that can
    templates = source.backbone.manifest.prompt_templates
    async with view.naming_lock:  # whoever comes meanwhile waits for these names rather than embedding them too
        # A few at a time, so that a call that ends too early leaves the next one less to do; anew after each, since
        # labels come and go.
        while view.record.names_as_prompts and (labels := view.unnamed_labels()[:_AT_ONCE]):
            texts = [with_templates([name_as_prompt(label.id, label.display_name)], templates) for label in labels]
            fields = [f"labels/{label.id}" for label in labels]
            directions = await prompt_directions(source, texts, fields, deadline)
            for label, direction in zip(labels, directions, strict=True):
                view.name_label(label, direction)
