"""Prompts as directions: each text embedded once, however many labels and calls share it."""

from collections.abc import Callable, Sequence

import numpy as np

from glimpse.fewshot import mean_direction
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.server.errors import RequestError
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import Source
from glimpse.v1 import types_pb2

# Texts embedded at a time: a fraction of the queue, which other callers use too.
_AT_ONCE = 128


async def prompt_directions(
    source: Source,
    prompts: Sequence[Sequence[str]],
    fields: Sequence[str],
    deadline: float,
    spend: Callable[[int], None] | None = None,
) -> list[Array]:
    """The mean direction, (d,), of each list of prompts; `fields[i]` names the i-th list. Raises RequestError.

    `spend`: told how many texts there are to embed, before the first of them is.
    """
    if isinstance(source.backbone, RequestError):
        raise source.backbone
    cache = source.backbone.prompts
    vectors: dict[str, Array] = {}
    unknown: dict[str, str] = {}  # text: the field where it stands first
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
    for start in range(0, len(texts_left), _AT_ONCE):
        some = texts_left[start : start + _AT_ONCE]
        inputs = [types_pb2.Input(text=text) for text in some]
        outcomes = await embed_all(source, inputs, [unknown[text] for text in some], deadline)
        good = {text: one for text, one in zip(some, outcomes, strict=True) if isinstance(one, Embedded)}
        for text, embedded in good.items():
            vectors[text] = embedded.vector
            cache.put(text, embedded.vector)
        if refusal := next((one for one in outcomes if isinstance(one, RequestError)), None):
            raise refusal
    return [mean_direction(np.stack([vectors[text] for text in texts])) for texts in prompts]
