"""Which backbone suits the data, by how much, and whether that is more than the draw of examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.metrics import Interval

Key = tuple[str, str, int]  # backbone, contender, shots


@dataclass(frozen=True, slots=True)
class Difference:
    """What the first backbone gets right more than the second, over the same trials."""

    first: str
    second: str
    head: str
    shots: int
    accuracy: Interval

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        low, high = self.accuracy.low, self.accuracy.high
        return low is not None and high is not None and (low > 0 or high < 0)


def compared_head(shots: int) -> str:
    """By what backbones are compared: the ladder on examples alone; without any, on labels' names."""
    return "auto" if shots else "auto+text"


def differences(
    results: Mapping[Key, AggregatedResult], backbones: Sequence[str], shots: Sequence[int]
) -> list[Difference]:
    """The best backbone at each number of shots beside each of the others, where two or more were tried."""
    found = []
    for count in shots:
        there = [cell for name in backbones if (cell := results.get((name, compared_head(count), count)))]
        there.sort(key=lambda cell: -_mean(cell))
        for other in there[1:]:
            best = there[0]
            both = [seed for seed in best.trials if seed in other.trials]
            gaps = [best.trials[seed].accuracy - other.trials[seed].accuracy for seed in both]
            accuracy = Interval.of(gaps)
            found.append(Difference(best.backbone, other.backbone, compared_head(count), count, accuracy))
    return found


def summary(results: Mapping[Key, AggregatedResult], backbones: Sequence[str], shots: Sequence[int]) -> str:
    """In a sentence or a few, for people."""
    told = [count for count in shots if any((name, compared_head(count), count) in results for name in backbones)]
    if not told:
        return "Nothing was measured with the heads asked for that backbones can be compared by."
    most = max(told)
    gaps = differences(results, backbones, told)
    at_most = [one for one in gaps if one.shots == most]
    if not at_most:
        cell = next(results[name, compared_head(most), most] for name in backbones if _has(results, name, most))
        return (
            f"{cell.backbone} calls {_percent(cell)} of inputs right {_with(most)}{_from_least(results, cell, told)}."
        )
    return " ".join([*(_sentence(one) for one in at_most), *_elsewhere(gaps, at_most[0], most)])


def _sentence(gap: Difference) -> str:
    points, known = _points(gap.accuracy.mean), gap.accuracy.low is not None
    if not known:
        return (
            f"{gap.first} is ahead of {gap.second} by {points} {_with(gap.shots)}, in a single trial: "
            "more seeds would say whether that is more than chance."
        )
    interval = f"95 % interval {100 * (gap.accuracy.low or 0):.1f} to {100 * (gap.accuracy.high or 0):.1f}"
    if gap.clear:
        better = f"{gap.first} suits these data better than {gap.second}"
        return f"{better}: {points} more are right {_with(gap.shots)} ({interval})."
    return f"{gap.first} and {gap.second} cannot be told apart {_with(gap.shots)}: {points} between them ({interval})."


def _elsewhere(gaps: Sequence[Difference], best: Difference, most: int) -> list[str]:
    """Where with fewer examples another is ahead, or how far the same one is."""
    others = [one for one in gaps if one.shots != most and {one.first, one.second} == {best.first, best.second}]
    same = [one for one in others if one.first == best.first and one.clear]
    turned = [one for one in others if one.first != best.first and one.clear]
    told = []
    if same:
        told.append("So too " + ", ".join(f"{_with(one.shots)} ({_points(one.accuracy.mean)})" for one in same) + ".")
    told += [f"But {one.first} is ahead by {_points(one.accuracy.mean)} {_with(one.shots)}." for one in turned]
    return told


def _from_least(results: Mapping[Key, AggregatedResult], cell: AggregatedResult, told: Sequence[int]) -> str:
    least = min(told)
    if least == cell.shots or not _has(results, cell.backbone, least):
        return ""
    return f", and {_percent(results[cell.backbone, compared_head(least), least])} {_with(least)}"


def _has(results: Mapping[Key, AggregatedResult], backbone: str, shots: int) -> bool:
    return (backbone, compared_head(shots), shots) in results


def _mean(cell: AggregatedResult) -> float:
    return Interval.of(cell.values("accuracy")).mean


def _percent(cell: AggregatedResult) -> str:
    found = Interval.of(cell.values("accuracy"))
    return f"{100 * found.mean:.1f} %" + (f" (± {100 * found.half:.1f})" if found.half is not None else "")


def _points(part: float) -> str:
    return f"{100 * abs(part):.1f} points"


def _with(shots: int) -> str:
    if not shots:
        return "by labels' names alone"
    return f"with {shots} example{'s' if shots > 1 else ''} a label"
