"""The trials without transfer: the head that a collection would choose, on features that no training made."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.data.embedding_cache import VectorStore
from glimpse.evaluate.data.encode_dataset import embed
from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.data.untrained_features import UntrainedFeatures
from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.trials.parallel import run_parallel
from glimpse.evaluate.trials.trial import Contender, EmbeddedDataset, run
from glimpse.fewshot import DecisionSettings, Policy
from glimpse.fewshot.decision import EXAMPLE_SCALE


def baseline_dataset(
    dataset: Dataset, features: UntrainedFeatures, cache: Path, advance: Callable[[int], None]
) -> EmbeddedDataset:
    """Returns the features of the inputs, which have no prompts and no unknown inputs.

    Raises:
        EvaluationError: an input cannot be read.
        OSError: the cache cannot be written.
    """
    store = VectorStore(cache, features.space, features.dimension)
    embedded = embed(features, store, dataset, advance)
    for place, reason in embedded.failures.items():
        raise EvaluationError(f"{dataset.contents[place]} cannot be read as {features.name}: {reason}")
    settings, none = DecisionSettings(Policy(), EXAMPLE_SCALE), np.empty(0, np.intp)
    rows, labels, groups = dataset.rows, dataset.labels, dataset.groups
    return EmbeddedDataset(store.vectors(), embedded.rows, rows, labels, none, None, settings, groups)


def run_baseline(
    name: str, dataset: EmbeddedDataset, splits: Mapping[int, Sequence[Split]], advance: Callable[[int], None]
) -> dict[int, AggregatedResult]:
    """Returns the results by the number of examples per label, on the draws of the backbones."""
    results, contender = dict[int, AggregatedResult](), Contender(None)
    for shots, draws in splits.items():
        result = results[shots] = AggregatedResult(name, contender, shots)
        outcomes = run_parallel(partial(run, dataset, contender), draws)
        for seed, (one, outcome) in enumerate(zip(draws, outcomes, strict=True)):
            result.add(seed, outcome, dataset.rows[one.queries], dataset.settings.policy)
            advance(1)
    return results
