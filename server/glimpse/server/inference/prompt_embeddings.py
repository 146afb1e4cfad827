"""Embeds prompts. Each text is embedded once, however many labels and calls share it."""

from collections.abc import Callable, Sequence

import numpy as np

from glimpse.fewshot import mean_direction
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.server.errors import RequestError
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import Source
from glimpse.v1 import types_pb2

# Texts embedded at the same time: a fraction of the queue, which other callers use too.
_CONCURRENT = 128


async def prompt_directions(
    source: Source,
    prompts: Sequence[Sequence[str]],
    fields: Sequence[str],
    deadline: float,
    spend: Callable[[int], None] | None = None,
) -> list[Array]:
    """Returns the mean direction, (d,), of each list of prompts.

    Args:
        source: The embedding space and its backbone.
        prompts: The lists.
        fields: Name of each list in errors.
        deadline: In time.monotonic() seconds.
        spend: Called with the number of texts to embed, before the first one is embedded.

    Raises:
        RequestError: The backbone reads no text, a prompt cannot be embedded, or `spend` refuses.
    """
    if isinstance(source.backbone, RequestError):
        raise source.backbone
    cache = source.backbone.prompts
    vectors: dict[str, Array] = {}
    unknown: dict[str, str] = {}  # field of each text's first occurrence
    for texts, field in zip(prompts, fields, strict=True):
        for position, text in enumerate(texts):
            if text in vectors or text in unknown:
                continue
            if (vector := cache.get(text)) is not None:
                vectors[text] = vector
            else:
                unknown[text] = f"{field}[{position}]"
    texts_left = list(unknown)
    if spend and texts_left:
        spend(len(texts_left))
    for start in range(0, len(texts_left), _CONCURRENT):
        batch = texts_left[start : start + _CONCURRENT]
        inputs = [types_pb2.Input(text=text) for text in batch]
        outcomes = await embed_all(source, inputs, [unknown[text] for text in batch], deadline)
        good = [(text, each) for text, each in zip(batch, outcomes, strict=True) if isinstance(each, Embedded)]
        for text, embedded in good:
            vectors[text] = embedded.vector
            cache.put(text, embedded.vector)
        if refusal := next((each for each in outcomes if isinstance(each, RequestError)), None):
            raise refusal
    return [mean_direction(np.stack([vectors[text] for text in texts])) for texts in prompts]
