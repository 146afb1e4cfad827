"""Strangers where none were given: a third of the labels withheld, and their inputs asked about."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.trials.trial import Contender, EmbeddedDataset, run
from glimpse.fewshot.statistics.unit_vectors import Rows

#: With fewer labels too few are left to tell apart; with fewer shots nothing is calibrated.
FEWEST_LABELS, FEWEST_SHOTS = 6, 2
_PART, _LEAST = 3, 2


def held_out_labels(labels: int, seed: int) -> Rows:
    """The rows of those that are withheld: a third, but two at least."""
    order = np.random.default_rng(seed).permutation(labels)
    return np.sort(order[: max(_LEAST, labels // _PART)])


def evaluate_held_out(
    backbone: str, material: EmbeddedDataset, shots: int, splits: Sequence[Split], advance: Callable[[int], None]
) -> AggregatedResult:
    """A trial a split, by the ladder on examples alone; known inputs are those of the labels that are left."""
    cell = AggregatedResult(backbone, Contender(None), shots)
    for seed, split in enumerate(splits):
        out = held_out_labels(len(material.labels), seed)
        support, queries = (places[~np.isin(material.rows[places], out)] for places in (split.support, split.queries))
        unknown = split.queries[np.isin(material.rows[split.queries], out)]
        some = replace(material, unknown=material.inputs[unknown])
        outcome = run(some, cell.contender, Split(support, queries))
        cell.add(seed, outcome, material.rows[queries], material.terms.policy)
        advance(1)
    return cell
