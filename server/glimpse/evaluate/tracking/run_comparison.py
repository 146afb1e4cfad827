"""Compares runs on the draws that they share: the same examples and the same queries of the same data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.figures.metrics import Interval
from glimpse.evaluate.tracking.run import Result, Run

_Cell = tuple[str, int]  # head, shots
_SHOWN = 12  # digits of a data digest
# Figures of unknown inputs, which a draw does not include.
_OF_UNKNOWN = {"caught", "false_accept", "auroc", "auroc_cosine", "auroc_softmax"}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One backbone of a run."""

    run: Run
    backbone: str

    def results(self) -> Mapping[_Cell, Result]:
        """Returns its results by head and number of examples per label."""
        return {(one.head, one.shots): one for one in self.run.results if one.backbone == self.backbone}


@dataclass(frozen=True, slots=True)
class RunDifference:
    """A figure of an entry and of the reference over the `count` draws that they share, and the paired difference.

    Attributes:
        entry: what is compared.
        head: the head of both.
        shots: the number of examples per label of both.
        reference: the figure of the reference.
        value: that of the entry.
        difference: `value` less `reference`, within each draw.
        left_out: the draws that only one of the two has.
    """

    entry: Entry
    head: str
    shots: int
    reference: Interval
    value: Interval
    difference: Interval
    left_out: int

    @property
    def clear(self) -> bool:
        """True if the 95 % interval of the difference excludes 0."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True, slots=True)
class NotCompared:
    """Something of an entry that has no counterpart, and the reason."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The comparison of all entries with the first one.

    Attributes:
        figure: the name of the figure.
        reference: the first entry.
        differences: those on shared draws.
        not_compared: what could not be compared.
    """

    figure: str
    reference: Entry
    differences: Sequence[RunDifference]
    not_compared: Sequence[NotCompared]


def compare_runs(runs: Sequence[Run], figure: str = "accuracy") -> RunComparison:
    """Compares every backbone of every run with the first backbone of the first run.

    Args:
        runs: one run, of several backbones, or more.
        figure: the name of a figure of the trials.

    Raises:
        EvaluationError: no run has this figure, or there is nothing to compare with.
    """
    entries = [Entry(run, name) for run in runs for name in run.names]
    known = {name: None for run in runs for result in run.results for trial in result.trials for name in trial.figures}
    if figure not in known:
        raise EvaluationError(f"the runs have no figure {figure!r}", f"they have {', '.join(known)}")
    if len(entries) < 2:
        raise EvaluationError("there is one run of one backbone", "name a second run, or evaluate a second backbone")
    differences: list[RunDifference] = []
    not_compared: list[NotCompared] = []
    for entry in entries[1:]:
        for one in _compare(entries[0], entry, figure):
            if isinstance(one, RunDifference):
                differences.append(one)
            else:
                not_compared.append(one)
    return RunComparison(figure, entries[0], differences, not_compared)


def _compare(reference: Entry, entry: Entry, figure: str) -> Iterator[RunDifference | NotCompared]:
    first, second = reference.run.data, entry.run.data
    if first.digest != second.digest:
        yield NotCompared(entry, f"other data: {_data(entry.run)}, and the reference has {_data(reference.run)}")
        return
    if figure in _OF_UNKNOWN and first.unknown != second.unknown:
        yield NotCompared(entry, f"other unknown inputs, which {figure} rests on")
        return
    own, others = reference.results(), entry.results()
    reasons: dict[tuple[str, str], list[int]] = {}  # numbers of examples by head and reason
    for cell in sorted({*own, *others}, key=lambda cell: (cell[1], cell[0])):
        head, shots = cell
        if cell not in own or cell not in others:
            reason = "only the reference has it" if cell in own else "only this one has it"
            reasons.setdefault((head, reason), []).append(shots)
            continue
        before, after = _by_draw(own[cell], figure), _by_draw(others[cell], figure)
        pairs = [(before[draw], after[draw]) for draw in before if draw in after]
        if not pairs:
            reasons.setdefault((head, "the two share no draw with this figure"), []).append(shots)
            continue
        values, differences = [new for _, new in pairs], [new - old for old, new in pairs]
        left_out = len({*before, *after}) - len(pairs)
        figures = (Interval.of([old for old, _ in pairs]), Interval.of(values), Interval.of(differences))
        yield RunDifference(entry, head, shots, *figures, left_out)
    for (head, reason), counts in reasons.items():
        yield NotCompared(entry, f"{head} with {', '.join(map(str, counts))} examples a label: {reason}")


def _by_draw(result: Result, figure: str) -> dict[str, float]:
    """Returns a figure by draw, without the draws that have none."""
    values = {trial.draw: trial.figures.get(figure) for trial in result.trials}
    return {draw: value for draw, value in values.items() if value is not None}


def _data(run: Run) -> str:
    data = run.data
    digest = data.digest.removeprefix("sha256:")[:_SHOWN]
    return f"{data.inputs:,} {data.kind}s of {data.labels} labels ({digest})"
