"""Prompts as directions: each text embedded once, however many labels share it."""

from collections.abc import Sequence

import numpy as np

from glimpse.fewshot import mean_direction
from glimpse.fewshot.vectors import Array
from glimpse.server.embedding import Embedded, Source, embed_all
from glimpse.server.errors import RequestError
from glimpse.v1 import types_pb2

# Texts embedded at a time: a fraction of the queue, which other callers use too.
_AT_ONCE = 128


async def prompt_directions(
    source: Source, prompts: Sequence[Sequence[str]], fields: Sequence[str], deadline: float
) -> list[Array]:
    """The mean direction, (d,), of each list of prompts; `fields[i]` names the i-th list. Raises RequestError."""
    first_fields: dict[str, str] = {}
    for texts, field in zip(prompts, fields, strict=True):
        for position, text in enumerate(texts):
            first_fields.setdefault(text, f"{field}[{position}]")
    vectors: dict[str, Array] = {}
    distinct = list(first_fields)
    for start in range(0, len(distinct), _AT_ONCE):
        some = distinct[start : start + _AT_ONCE]
        inputs = [types_pb2.Input(text=text) for text in some]
        embedded = await embed_all(source, inputs, [first_fields[text] for text in some], deadline)
        vectors |= zip(some, map(_vector, embedded), strict=True)
    return [mean_direction(np.stack([vectors[text] for text in texts])) for texts in prompts]


def _vector(outcome: Embedded | RequestError) -> Array:
    if isinstance(outcome, RequestError):
        raise outcome
    return outcome.vector
