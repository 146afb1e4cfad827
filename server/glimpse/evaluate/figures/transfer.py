"""The benefits of transfer over no transfer: a higher start, a higher slope and a higher asymptote.

They are those of Torrey and Shavlik 2009 ("Transfer Learning", in the Handbook of Research on Machine Learning
Applications), measured on learning curves: accuracy over the number of examples of a label. Without transfer the same
classifier learns from the inputs as they are. Differences are taken within each draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.comparison import Key, compared_head
from glimpse.evaluate.figures.metrics import Interval
from glimpse.fewshot.statistics.unit_vectors import Floats


@dataclass(frozen=True, slots=True)
class Benefit:
    """One benefit: a figure with transfer, the same without, and the difference within draws, each over the draws."""

    transfer: Interval
    baseline: Interval
    gain: Interval


@dataclass(frozen=True, slots=True)
class TransferBenefits:
    """The benefits of one backbone.

    Attributes:
        backbone: its name.
        shots: the numbers of examples per label of the curves, ascending.
        start: accuracy at the fewest examples.
        slope: accuracy that a doubling of the examples adds, by least squares over all numbers; None for one number.
        asymptote: accuracy at the most examples, which the curves have not always reached.
    """

    backbone: str
    shots: Sequence[int]
    start: Benefit
    slope: Benefit | None
    asymptote: Benefit


def transfer_benefits(
    backbone: str, results: Mapping[Key, AggregatedResult], baseline: Mapping[int, AggregatedResult]
) -> TransferBenefits | None:
    """Compares a backbone's curve, by the head that backbones are compared by, with that of the baseline.

    Args:
        backbone: its name.
        results: the results of all backbones.
        baseline: those without transfer, on the same draws, by the number of examples per label.

    Returns:
        The benefits; None if the curves have no number of examples in common.
    """
    own = {count: results[key] for count in baseline if (key := (backbone, compared_head(count), count)) in results}
    if not own:
        return None
    shots = sorted(own)
    with_transfer, without = _curves(own, shots), _curves(baseline, shots)
    slope = _benefit(_slopes(with_transfer, shots), _slopes(without, shots)) if len(shots) > 1 else None
    start, asymptote = (_benefit(with_transfer[place], without[place]) for place in (0, -1))
    return TransferBenefits(backbone, shots, start, slope, asymptote)


def _curves(results: Mapping[int, AggregatedResult], shots: Sequence[int]) -> Floats:
    """Returns the accuracy of each trial, `(shots, seeds)`."""
    return np.array([[results[count].trials[seed].accuracy for seed in results[shots[0]].trials] for count in shots])


def _slopes(curves: Floats, shots: Sequence[int]) -> Floats:
    """Returns each seed's slope over the logarithm of the examples to the base 2, `(seeds,)`."""
    doublings = np.log2(shots)
    centred = doublings - doublings.mean()
    return np.asarray(centred @ curves / (centred @ centred), np.float64)


def _benefit(transfer: Floats, baseline: Floats) -> Benefit:
    figures = (transfer, baseline, transfer - baseline)
    return Benefit(*(Interval.of(values.tolist()) for values in figures))
