"""Predicts for vectors that the server has stored: those of review items and of sampled queries."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from glimpse.fewshot import HeadKind, Prediction, predict
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.server.classification.label_names import prompt_names
from glimpse.server.classification.messages import decision_settings
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.inference.embedding_spaces import source_of_collection

# Vectors between two turns of the event loop: about a millisecond of predictions.
_BLOCK = 32
# Labels of a prediction. The rest of the probability is shared by the others.
_TOP_K = 5


async def predict_vectors(
    view: CollectionView,
    vectors: Array,
    neighbors: NeighborSearch,
    backbones: Iterable[LoadedBackbone],
    deadline: float,
) -> list[Prediction]:
    """Predicts as Classify does, in small blocks: only the event loop's thread may read a classifier.

    Args:
        view: The collection.
        vectors: Vectors of its embedding space, `(n, d)`, of length 1.
        neighbors: Finds the examples near them.
        backbones: The loaded backbones.
        deadline: In time.monotonic() seconds, for the names of labels that must be embedded.

    Raises:
        RequestError: The names were not embedded in time.
    """
    source, predictions = source_of_collection(view.record, backbones), list[Prediction]()
    await prompt_names(source, view, deadline)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        near = await neighbors.find_neighborhood(view, block, 1)
        settings = decision_settings(view, source)
        if view.classifier.head().kind is HeadKind.PROMPTS and not isinstance(source.backbone, RequestError):
            background = await source.backbone.background.of_collection(view.classifier, ["vector"] * len(block))
            settings = replace(settings, background=background)
        predictions += predict(view.classifier, block, near.nearest, settings, _TOP_K, near.candidates).predictions
        await asyncio.sleep(0)
    return predictions
