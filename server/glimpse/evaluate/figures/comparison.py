"""Compares backbones on the same draws: which one is better, by how much, and whether that exceeds chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.metrics import Interval

Key = tuple[str, str, int]  # backbone, contender, shots


@dataclass(frozen=True, slots=True)
class Difference:
    """The accuracy of the first backbone less that of the second, on the same draws."""

    first: str
    second: str
    head: str
    shots: int
    accuracy: Interval

    @property
    def clear(self) -> bool:
        """True if the 95 % interval of the difference excludes 0."""
        low, high = self.accuracy.low, self.accuracy.high
        return low is not None and high is not None and (low > 0 or high < 0)


def compared_head(shots: int) -> str:
    """Returns the head by which backbones are compared at a number of shots."""
    return "auto" if shots else "auto+text"


def differences(
    results: Mapping[Key, AggregatedResult], backbones: Sequence[str], shots: Sequence[int]
) -> list[Difference]:
    """Compares the best backbone at each number of shots with each of the others."""
    comparisons = []
    for count in shots:
        candidates = [cell for name in backbones if (cell := results.get((name, compared_head(count), count)))]
        candidates.sort(key=lambda cell: -_mean(cell))
        for other in candidates[1:]:
            best = candidates[0]
            both = [seed for seed in best.trials if seed in other.trials]
            gaps = [best.trials[seed].accuracy - other.trials[seed].accuracy for seed in both]
            accuracy = Interval.of(gaps)
            comparisons.append(Difference(best.backbone, other.backbone, compared_head(count), count, accuracy))
    return comparisons


def summary(results: Mapping[Key, AggregatedResult], backbones: Sequence[str], shots: Sequence[int]) -> str:
    """Summarises the comparison in one or a few sentences for people."""
    measured_shots = [
        count for count in shots if any((name, compared_head(count), count) in results for name in backbones)
    ]
    if not measured_shots:
        return "The chosen heads give no result by which backbones can be compared."
    most = max(measured_shots)
    gaps = differences(results, backbones, measured_shots)
    at_most = [gap for gap in gaps if gap.shots == most]
    if not at_most:
        cell = next(results[name, compared_head(most), most] for name in backbones if _has(results, name, most))
        times = f"{_with(most)}{_from_least(results, cell, measured_shots)}"
        return f"{cell.backbone} classifies {_percent(cell)} of inputs correctly {times}."
    return " ".join([*(_sentence(gap) for gap in at_most), *_elsewhere(gaps, at_most[0], most)])


def _sentence(gap: Difference) -> str:
    points, known = _points(gap.accuracy.mean), gap.accuracy.low is not None
    if not known:
        return (
            f"{gap.first} is ahead of {gap.second} by {points} {_with(gap.shots)}, in a single trial: "
            "use more seeds to see whether that exceeds chance."
        )
    interval = f"95 % interval {100 * (gap.accuracy.low or 0):.1f} to {100 * (gap.accuracy.high or 0):.1f}"
    if gap.clear:
        better = f"{gap.first} suits these data better than {gap.second}"
        return f"{better}: {points} more are correct {_with(gap.shots)} ({interval})."
    return f"{gap.first} and {gap.second} do not differ clearly {_with(gap.shots)}: {points} between them ({interval})."


def _elsewhere(gaps: Sequence[Difference], best: Difference, most: int) -> list[str]:
    """Returns sentences on fewer shots, where another backbone is ahead or the lead is also clear."""
    others = [gap for gap in gaps if gap.shots != most and {gap.first, gap.second} == {best.first, best.second}]
    same = [gap for gap in others if gap.first == best.first and gap.clear]
    turned = [gap for gap in others if gap.first != best.first and gap.clear]
    sentences = []
    if same:
        sentences.append(
            "Likewise " + ", ".join(f"{_with(gap.shots)} ({_points(gap.accuracy.mean)})" for gap in same) + "."
        )
    sentences += [f"But {gap.first} is ahead by {_points(gap.accuracy.mean)} {_with(gap.shots)}." for gap in turned]
    return sentences


def _from_least(results: Mapping[Key, AggregatedResult], cell: AggregatedResult, measured_shots: Sequence[int]) -> str:
    least = min(measured_shots)
    if least == cell.shots or not _has(results, cell.backbone, least):
        return ""
    return f", and {_percent(results[cell.backbone, compared_head(least), least])} {_with(least)}"


def _has(results: Mapping[Key, AggregatedResult], backbone: str, shots: int) -> bool:
    return (backbone, compared_head(shots), shots) in results


def _mean(cell: AggregatedResult) -> float:
    return Interval.of(cell.values("accuracy")).mean


def _percent(cell: AggregatedResult) -> str:
    comparisons = Interval.of(cell.values("accuracy"))
    return f"{100 * comparisons.mean:.1f} %" + (
        f" (± {100 * comparisons.half:.1f})" if comparisons.half is not None else ""
    )


def _points(part: float) -> str:
    return f"{100 * abs(part):.1f} points"


def _with(shots: int) -> str:
    if not shots:
        return "by labels' names alone"
    return f"with {shots} example{'s' if shots > 1 else ''} a label"
