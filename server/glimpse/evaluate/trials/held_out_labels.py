"""Strangers where none were given: a third of the labels withheld, and their inputs asked about."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.figures.aggregation import Cell
from glimpse.evaluate.trials.trial import Contender, Material, run
from glimpse.fewshot.statistics.unit_vectors import Rows

#: With fewer labels too few are left to tell apart; with fewer shots nothing is calibrated.
FEWEST_LABELS, FEWEST_SHOTS = 6, 2
_PART, _LEAST = 3, 2


def withheld_labels(labels: int, seed: int) -> Rows:
    """The rows of those that are withheld: a third, but two at least."""
    order = np.random.default_rng(seed).permutation(labels)
    return np.sort(order[: max(_LEAST, labels // _PART)])


def withhold(
    backbone: str, material: Material, shots: int, splits: Sequence[Split], advance: Callable[[int], None]
) -> Cell:
    """A trial a split, by the ladder on examples alone; known inputs are those of the labels that are left."""
    cell = Cell(backbone, Contender(None), shots)
    for seed, split in enumerate(splits):
        out = withheld_labels(len(material.labels), seed)
        support, queries = (places[~np.isin(material.rows[places], out)] for places in (split.support, split.queries))
        strangers = split.queries[np.isin(material.rows[split.queries], out)]
        some = replace(material, strangers=material.inputs[strangers])
        outcome = run(some, cell.contender, Split(support, queries))
        cell.add(seed, outcome, material.rows[queries], material.terms.policy)
        advance(1)
    return cell
