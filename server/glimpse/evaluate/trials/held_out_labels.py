"""Makes unknown inputs by holding out labels: a third of the labels, whose inputs are then queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.trials.parallel import run_parallel
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
    trials = [_without(dataset, held_out_labels(len(dataset.labels), seed), one) for seed, one in enumerate(splits)]
    outcomes = run_parallel(lambda trial: run(trial[0], result.contender, trial[1]), trials)
    for seed, ((_, split), outcome) in enumerate(zip(trials, outcomes, strict=True)):
        result.add(seed, outcome, dataset.rows[split.queries], dataset.settings.policy)
        advance(1)
    return result


def _without(dataset: EmbeddedDataset, held_out: Rows, split: Split) -> tuple[EmbeddedDataset, Split]:
    """Returns a trial in which the queries of some labels are unknown inputs."""
    support, queries = (places[~np.isin(dataset.rows[places], held_out)] for places in (split.support, split.queries))
    unknown = split.queries[np.isin(dataset.rows[split.queries], held_out)]
    return replace(dataset, unknown=dataset.inputs[unknown]), Split(support, queries)
