"""Makes unknown inputs by holding out labels: a third of the labels, whose inputs are then queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.trials.trial import Contender, EmbeddedDataset, run
from glimpse.fewshot.statistics.unit_vectors import Rows

#: The fewest labels, so that enough remain, and the fewest shots, so that a collection is calibrated.
FEWEST_LABELS, FEWEST_SHOTS = 6, 2
_PART, _LEAST = 3, 2


def held_out_labels(labels: int, seed: int) -> Rows:
    """Returns the rows of the labels to hold out: a third, at least two."""
    order = np.random.default_rng(seed).permutation(labels)
    return np.sort(order[: max(_LEAST, labels // _PART)])


def evaluate_held_out(
    backbone: str, dataset: EmbeddedDataset, shots: int, splits: Sequence[Split], advance: Callable[[int], None]
) -> AggregatedResult:
    """Runs one trial per split with the selected head and examples alone; known queries are of the remaining labels."""
    result = AggregatedResult(backbone, Contender(None), shots)
    for seed, split in enumerate(splits):
        held_out = held_out_labels(len(dataset.labels), seed)
        support, queries = (
            places[~np.isin(dataset.rows[places], held_out)] for places in (split.support, split.queries)
        )
        unknown = split.queries[np.isin(dataset.rows[split.queries], held_out)]
        trial_data = replace(dataset, unknown=dataset.inputs[unknown])
        outcome = run(trial_data, result.contender, Split(support, queries))
        result.add(seed, outcome, dataset.rows[queries], dataset.settings.policy)
        advance(1)
    return result
