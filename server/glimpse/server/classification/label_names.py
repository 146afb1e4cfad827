"""Uses the names of labels as prompts, in collections that ask for it."""

from glimpse.backbone import name_as_prompt, with_templates
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.embedding_spaces import Source
from glimpse.server.inference.prompt_embeddings import prompt_directions

_BATCH = 16  # labels


async def prompt_names(source: Source, view: CollectionView, deadline: float) -> None:
    """Embeds the names of labels without prompts, if the collection uses names as prompts.

    The directions are kept in memory only: names are cheap to embed again, and the collection's setting may change.

    Args:
        source: The source of the collection's vectors.
        view: The collection.
        deadline: In time.monotonic() seconds.

    Raises:
        RequestError: The names were not embedded in time.
    """
    if not view.record.names_as_prompts:
        return
    if isinstance(source.backbone, RequestError) or not source.backbone.manifest.text or not view.unnamed_labels():
        return  # vectors are still classified, by the labels that have examples or prompts
    templates = source.backbone.manifest.prompt_templates
    async with view.naming_lock:  # concurrent calls wait for these names instead of embedding them too
        # In small batches, so that a call that runs out of time leaves less for the next one. Labels may come and go
        # during a batch, so the list is read again after each.
        while view.record.names_as_prompts and (labels := view.unnamed_labels()[:_BATCH]):
            texts = [with_templates([name_as_prompt(label.id, label.display_name)], templates) for label in labels]
            fields = [f"labels/{label.id}" for label in labels]
            directions = await prompt_directions(source, texts, fields, deadline)
            for label, direction in zip(labels, directions, strict=True):
                view.name_label(label, direction)
