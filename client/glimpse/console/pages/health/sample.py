"""The examples that two backbones are compared on: a few of each label, with their kept originals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glimpse.client import AsyncClient, Collection, Example, Image, Text
from glimpse.console.progress import Work

_EXAMPLES, _LABELS, _LEAST = 200, 50, 4
_EMBEDDED = 32  # inputs of one call, so that progress is seen


@dataclass(frozen=True, slots=True)
class Sample:
    """Examples by two backbones.

    Attributes:
        labels: The label of each example.
        current: Their vectors by the collection's backbone, `(n, d)`.
        other: Their vectors by the other backbone, `(n, e)`.
    """

    labels: Sequence[str]
    current: NDArray[np.float32]
    other: NDArray[np.float32]


async def read_sample(
    client: AsyncClient, collection: Collection, labels: Sequence[str], backbone: str, work: Work
) -> Sample | None:
    """Reads examples, and embeds their originals with another backbone.

    Args:
        client: The client.
        collection: The collection.
        labels: Ids of its labels with examples. The first 50 are used.
        backbone: Name of the other backbone.
        work: Shows the progress.

    Returns:
        The sample. None: no example has a kept original that the backbone reads.

    Raises:
        GlimpseError: If a call fails.
    """
    examples: list[Example] = []
    each = max(_LEAST, _EXAMPLES // max(1, min(len(labels), _LABELS)))
    for label in labels[:_LABELS]:
        examples += await _first(client, collection, label, each)
    inputs = await _originals(client, collection, examples)
    pairs: list[tuple[Example, NDArray[np.float32]]] = []
    for start in range(0, len(inputs), _EMBEDDED):
        work.advance(start, len(inputs))
        chunk = inputs[start : start + _EMBEDDED]
        results = await client.embed([content for _, content in chunk], backbone=backbone)
        embedded = zip(chunk, results, strict=True)
        pairs += [(example, result.vector.values) for (example, _), result in embedded if result.vector]
    if not pairs:
        return None
    current = np.stack([example.vector.values for example, _ in pairs if example.vector])
    return Sample([example.label for example, _ in pairs], current, np.stack([vector for _, vector in pairs]))


async def _originals(
    client: AsyncClient, collection: Collection, examples: Sequence[Example]
) -> list[tuple[Example, Image | Text]]:
    """Returns examples with their kept originals, without those that have none."""
    found: list[tuple[Example, Image | Text]] = []
    number = 0
    async for kept in client.list_example_content(collection, [example.name for example in examples]):
        content = kept.content
        if content is not None:
            found.append((examples[number], Image(content) if isinstance(content, bytes) else Text(content)))
        number += 1
    return found


async def _first(client: AsyncClient, collection: Collection, label: str, count: int) -> list[Example]:
    found: list[Example] = []
    async for example in client.list_examples(collection, label=label, include_vector=True, page_size=count):
        found.append(example)
        if len(found) == count:
            break
    return found
